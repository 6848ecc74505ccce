#include "base/log.h"
#include "cli/commands.h"
#include "cli/operations/scale.h"
#include "cli/operations/service.h"
#include "keda/keda.h"
#include "server/server.h"

static bool require(const struct config *config, const char *name, struct error *err) {
    return config_get(config, name) ||
           error_set(err, ERR_USAGE, "--%s is missing; give it, or set it in farm.json or the environment", name);
}

/* Starts KEDA's external scaler when --scaler-listen is given; else *keda stays NULL. */
static bool start_scaler(const struct cli *cli, const struct queue_options *queue,
                         const struct scale_policies *policies, struct keda **keda, struct error *err) {
    struct keda_options options = {.address = cli_value(cli, "scaler-listen"),
                                   .certificate = cli_value(cli, "scaler-cert"),
                                   .key = cli_value(cli, "scaler-key"),
                                   .ca = cli_value(cli, "scaler-ca"),
                                   .policies = policies,
                                   .queue = *queue};
    if (!options.address)
        return true;
    if (!(*keda = keda_start(&options, err)))
        return false;
    log_write(NULL, LOG_INFO, "the scaler answers on port %d%s", keda_port(*keda),
              options.certificate ? " over TLS" : "");
    return true;
}

static bool serve_run(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    if (!config || !require(config, "redis", err) || !require(config, "store", err) || !require(config, "keys", err))
        return false;
    _cleanup_policies_ struct scale_policies *policies = cli_policies(cli, true, err);
    if (!policies)
        return false;
    _cleanup_close_ int signals = service_signals(err);
    struct store_options store = {.endpoint = config_get(config, "s3_endpoint")};
    struct server_options options = {.address = config_get(config, "listen"),
                                     .queue = {.url = config_get(config, "redis"), .farm = config_get(config, "farm")},
                                     .store_url = config_get(config, "store"),
                                     .store = &store,
                                     .keys_file = config_get(config, "keys"),
                                     .emf = config_get(config, "emf"),
                                     .policies = policies,
                                     .failure = config_failure(config)};
    _cleanup_server_ struct server *server = signals >= 0 ? server_start(&options, err) : NULL;
    _cleanup_keda_ struct keda *keda = NULL;
    if (!server || !start_scaler(cli, &options.queue, policies, &keda, err))
        return false;
    log_write(NULL, LOG_INFO, "the API answers on port %d", server_port(server));
    service_wait(signals);
    log_write(NULL, LOG_INFO, "stopping");
    return true;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the API server of a farm whose Redis and store are elsewhere",
    .help = "For production: the API that mela up has too, and nothing else. It speaks plain HTTP: put a proxy with "
            "TLS in front of it.\n\n"
            "Example:\n  mela serve --redis redis://redis:6379 --store s3://studio/mela \\\n"
            "      --keys /etc/mela/keys.json --listen 0.0.0.0:7420\n",
    .options =
        (const struct cli_option[]){
            {"redis", "URL", "redis://[user:password@]host:port[/db], rediss://...[?ca=FILE] or unix:///path"},
            {"store", "URL", "object store: s3://bucket/prefix or file:///folder"},
            {"s3-endpoint", "URL", "S3 server other than AWS, such as http://minio:9000"},
            {"keys", "FILE", "JSON file with the hashes of the API keys"},
            {"listen", "ADDRESS", "address and port, default 127.0.0.1:7420"},
            {"scaler-listen", "ADDRESS", "address and port of KEDA's external scaler, such as 0.0.0.0:7421"},
            {"scaler-cert", "FILE", "certificate of the scaler (PEM); without it there is no TLS"},
            {"scaler-key", "FILE", "private key of that certificate (PEM)"},
            {"scaler-ca", "FILE", "authority whose certificate the scaler's clients must show (PEM)"},
            {"farm", "NAME", "namespace of the farm in Redis, default mela"},
            {"emf", "NAMESPACE", "once a minute, the farm's figures on stdout as CloudWatch's embedded metrics"},
            {0},
        },
    .run = serve_run,
};
