/* Names of the files that the two kinds read and write. Private to this room. */
#pragma once

#include <stddef.h>

#define TARGET_RECORD "record.json" /* of an image job: its artifact */
#define TARGET_THUMBS "thumbs.png"
#define TARGET_INDEX "index.json" /* of the sheet: its artifact */
#define TARGET_SHEET "sheet.png"
#define SOURCE_RECORD "record-"
#define SOURCE_THUMBS "thumbs-"

/* "picture-2.png"; the caller frees it. */
char *picture_target_name(int picture);
/* "lora-1": the file of a prompt's LoRA; the caller frees it. */
char *lora_source_name(size_t lora);
