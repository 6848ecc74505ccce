#include "cli/operations/scale.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "scale/scale.h"

struct scale_policies *cli_policies(struct cli *cli, bool quiet_by_default, struct error *err) {
    _cleanup_json_ json_t *problems = NULL;
    const struct config *config = cli_config(cli, err);
    struct scale_policies *policies = config ? scale_policies_load(config, quiet_by_default, &problems, err) : NULL;
    if (problems)
        cli_set_details(cli, problems);
    return policies;
}

static bool option_read_pool(struct cli *cli, enum pool *pool, struct error *err) {
    const char *name = cli_value(cli, "pool");
    *pool = POOL_LIPSYNC;
    return !name || pool_parse(name, pool) ||
           error_set(err, ERR_USAGE, "--pool %s: there is no such pool; mela knows cpu, lipsync and image", name);
}

/* ---- desired ---- */

static bool option_read_count(const char *option, const char *text, int64_t *out, struct error *err) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return (end != text && *end == '\0' && errno == 0 && *out >= 0 && *out <= 1000000000) ||
           error_set(err, ERR_USAGE, "--%s %s: not a whole number from 0 to 1000000000", option, text);
}

/* --class urgent=5: so many more jobs of the class are ready. */
static bool demand_read_classes(struct cli *cli, struct scale_demand *demand, struct error *err) {
    const char *text;
    for (int i = 0; (text = cli_nth_value(cli, "class", i)); i++) {
        const char *equals = strchr(text, '=');
        _cleanup_free_ char *name = xstrndup(text, equals ? (size_t)(equals - text) : 0);
        enum campaign_class class;
        int64_t count;
        if (!equals || !campaign_class_parse(name, &class))
            return error_set(err, ERR_USAGE, "--class %s: write urgent=K or batch=K", text);
        if (!option_read_count("class", equals + 1, &count, err))
            return false;
        demand->load[class].ready += count;
    }
    return true;
}

static bool demand_read(struct cli *cli, struct scale_demand *demand, struct error *err) {
    struct scale_load *batch = &demand->load[CLASS_BATCH];
    const char *ready = cli_value(cli, "ready"), *leased = cli_value(cli, "leased");
    return (!ready || option_read_count("ready", ready, &batch->ready, err)) &&
           (!leased || option_read_count("leased", leased, &batch->leased, err)) &&
           demand_read_classes(cli, demand, err);
}

/* --at: which classes the calendar holds at that time. */
static bool demand_read_calendar(struct cli *cli, const struct scale_policy *policy, struct scale_demand *demand,
                                 struct error *err) {
    const char *at = cli_value(cli, "at");
    int64_t at_ms;
    if (at && !clock_parse_iso(at, &at_ms))
        return error_set(err, ERR_USAGE, "--at %s: not a time such as 2026-11-08T23:30:00+05:30", at);
    for (int class = 0; at && class < CLASS_COUNT; class ++)
        demand->load[class].held = calendar_holds(policy->calendar, (enum campaign_class) class, at_ms);
    return true;
}

static json_t *desired_describe(const struct scale_policy *policy, const struct scale_demand *demand, enum pool pool) {
    struct scale_answer answer = scale_desired(&policy->rule, demand);
    json_t *classes = json_object();
    for (int class = 0; class < CLASS_COUNT; class ++) {
        _cleanup_free_ char *why = scale_explain(&policy->rule, demand, (enum campaign_class) class);
        json_object_set_new(
            classes, campaign_class_name((enum campaign_class) class),
            json_pack("{s:i,s:b,s:s}", "desired", answer.workers[class], "held", demand->load[class].held, "why", why));
    }
    return json_pack("{s:s,s:i,s:i,s:o}", "pool", pool_name(pool), "desired", answer.total, "max", policy->rule.max,
                     "classes", classes);
}

static bool scale_desired_run(struct cli *cli, struct error *err) {
    enum pool pool;
    struct scale_demand demand = {0};
    if (!option_read_pool(cli, &pool, err) || !demand_read(cli, &demand, err))
        return false;
    _cleanup_policies_ struct scale_policies *policies = cli_policies(cli, true, err);
    if (!policies || !demand_read_calendar(cli, &policies->pools[pool], &demand, err))
        return false;
    _cleanup_json_ json_t *answer = desired_describe(&policies->pools[pool], &demand, pool);
    if (cli_json(cli)) {
        cli_print_json(answer);
        return true;
    }
    printf("%lld workers for pool %s\n", json_integer_value(json_object_get(answer, "desired")), pool_name(pool));
    const char *class;
    json_t *part;
    json_object_foreach (json_object_get(answer, "classes"), class, part)
        printf("  %-7s %4lld  %s\n", class, json_integer_value(json_object_get(part, "desired")),
               json_get_string(part, "why", ""));
    return true;
}

const struct command command_scale_desired = {
    .name = "scale desired",
    .summary = "print how many workers the rule asks for, and why",
    .help = "Applies the rule of farm.json, or the default one, to the numbers of jobs that are given; no farm is "
            "needed. --ready and --leased count batch jobs.\n\n"
            "Examples:\n  mela scale desired --ready 7\n"
            "  mela scale desired --ready 40 --class urgent=5 --at 2026-11-08T23:30:00Z\n",
    .options =
        (const struct cli_option[]){
            {"ready", "N", "batch jobs that wait for a worker, default 0"},
            {"leased", "M", "batch jobs that a worker holds, default 0"},
            {"class", "CLASS=K", "K more jobs of a class wait: urgent=K or batch=K; may be repeated"},
            {"pool", "POOL", "cpu, lipsync or image, default lipsync"},
            {"at", "TIME", "apply the calendar at this time too, such as 2026-11-08T23:30:00+05:30"},
            {0},
        },
    .run = scale_desired_run,
};

/* ---- hold, resume ---- */

static json_t *hold_body(struct cli *cli) {
    const char *class = cli_value(cli, "class"), *until = cli_value(cli, "until");
    json_t *body = json_pack("{s:s}", "class", class ? class : "batch");
    if (until)
        json_object_set_new(body, "until", json_string(until));
    return body;
}

static void hold_print(const json_t *pool) {
    const char *class;
    json_t *until;
    json_object_foreach (json_object_get(pool, "held_until_ms"), class, until) {
        _cleanup_buffer_ struct buffer text = {0};
        if (json_integer_value(until))
            terminal_held(&text, json_integer_value(until));
        printf("%-8s %-7s %s\n", json_get_string(pool, "pool", ""), class, text.length ? text.data : "runs");
    }
}

/* Sends "hold" or "resume" for one pool, or for all. */
static bool hold_request(struct cli *cli, const char *what, struct error *err) {
    _cleanup_client_ struct client *client = client_open(cli, err);
    _cleanup_json_ json_t *body = hold_body(cli), *answers = json_array();
    enum pool only;
    if (!client || !option_read_pool(cli, &only, err))
        return false;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        if (cli_value(cli, "pool") && pool != (int)only)
            continue;
        _cleanup_free_ char *path = xasprintf("/v1/pools/%s/%s", pool_name((enum pool)pool), what);
        json_t *answer = client_request(client, "POST", path, body, NULL, err);
        if (!answer)
            return false;
        json_array_append_new(answers, answer);
    }
    size_t i;
    json_t *answer;
    if (cli_json(cli))
        cli_print_json(answers);
    else
        json_array_foreach (answers, i, answer)
            hold_print(answer);
    return true;
}

static bool scale_hold_run(struct cli *cli, struct error *err) { return hold_request(cli, "hold", err); }
static bool scale_resume_run(struct cli *cli, struct error *err) { return hold_request(cli, "resume", err); }

const struct command command_scale_hold = {
    .name = "scale hold",
    .summary = "let no more batch jobs begin; those that run go on",
    .help = "Holds a class of a pool (of all pools, without --pool) until it is resumed, or until a time. Needs an "
            "administrator's key.\n\n"
            "Example:\n  mela scale hold --pool lipsync --until 2026-11-08T07:00:00+05:30\n",
    .options =
        (const struct cli_option[]){
            {"pool", "POOL", "cpu, lipsync or image, default all"},
            {"class", "CLASS", "urgent or batch, default batch"},
            {"until", "TIME", "when it ends by itself, such as 2026-11-08T07:00:00+05:30"},
            {0},
        },
    .run = scale_hold_run,
};

const struct command command_scale_resume = {
    .name = "scale resume",
    .summary = "let batch jobs begin again, in quiet hours too",
    .help = "Ends a hold. In quiet hours it lets the class run until they would have ended. Needs an administrator's "
            "key.\n\n"
            "Example:\n  mela scale resume --pool lipsync\n",
    .options =
        (const struct cli_option[]){
            {"pool", "POOL", "cpu, lipsync or image, default all"},
            {"class", "CLASS", "urgent or batch, default batch"},
            {0},
        },
    .run = scale_resume_run,
};
