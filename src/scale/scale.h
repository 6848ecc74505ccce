/* scale: how many workers a queue asks for, and keeping that many.
 *
 * The rule is pure and the same everywhere: the local farm of `mela up`, the API's answer and the metrics. It
 * promises never more than the cap, and never zero while a lease is held. KEDA asks for it over gRPC (docs/keda.md). */
#pragma once

#include "scale/keda.h"
#include "scale/local.h"
#include "scale/rule.h"
