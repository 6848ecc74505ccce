// run-onnx MODEL OUTDIR [NAME=FILE:D,D,...]...
// Runs an ONNX graph once on the CPU: every input is a file of raw numbers, of the type that the graph declares and in
// the given shape (rank 0: nothing after the colon). Every output is written to OUTDIR/<name>.raw, and its type and
// shape are printed as "name f4 D,D,...". It exists to check graphs, not to be fast.
#include <errno.h>
#include <onnxruntime_c_api.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 48
#define MAX_RANK 8

static const OrtApi *ort;

// Types by numpy's names, which end in the bytes of one number.
static const struct {
    ONNXTensorElementDataType type;
    const char *name;
} types[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "f4"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, "f2"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, "i4"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, "i8"},
};

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "run-onnx: %s: %s\n", what, why);
    exit(1);
}

static void check(OrtStatus *status, const char *what) {
    if (status)
        die(what, ort->GetErrorMessage(status));
}

static const char *type_name(ONNXTensorElementDataType type, const char *what) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].name;
    die(what, "a type that run-onnx does not know");
}

static size_t type_bytes(ONNXTensorElementDataType type, const char *what) {
    return (size_t)(type_name(type, what)[1] - '0');
}

static ONNXTensorElementDataType input_type(const OrtSession *session, const char *name, OrtAllocator *allocator) {
    size_t count;
    check(ort->SessionGetInputCount(session, &count), name);
    for (size_t i = 0; i < count; i++) {
        char *found;
        check(ort->SessionGetInputName(session, i, allocator, &found), name);
        bool same = strcmp(found, name) == 0;
        check(ort->AllocatorFree(allocator, found), name);
        if (!same)
            continue;
        OrtTypeInfo *info;
        const OrtTensorTypeAndShapeInfo *tensor;
        ONNXTensorElementDataType type;
        check(ort->SessionGetInputTypeInfo(session, i, &info), name);
        check(ort->CastTypeInfoToTensorInfo(info, &tensor), name);
        check(ort->GetTensorElementType(tensor, &type), name);
        ort->ReleaseTypeInfo(info);
        return type;
    }
    die(name, "the graph has no such input");
}

// The tensor described by NAME=FILE:D,D,...; the string is cut at '=' so that it starts with the name.
static OrtValue *read_input(const OrtSession *session, char *argument, OrtAllocator *allocator) {
    char *path = strchr(argument, '='), *shape = strrchr(argument, ':');
    if (!path || !shape || shape < path)
        die(argument, "an input is written NAME=FILE:D,D,...");
    *path++ = *shape++ = 0;
    int64_t dims[MAX_RANK];
    size_t rank = 0, count = 1;
    for (char *p = strtok(shape, ","); p; p = strtok(NULL, ",")) {
        if (rank == MAX_RANK)
            die(argument, "too many dimensions");
        dims[rank] = strtoll(p, NULL, 10);
        count *= (size_t)dims[rank++];
    }
    ONNXTensorElementDataType type = input_type(session, argument, allocator);
    OrtValue *value;
    void *data;
    check(ort->CreateTensorAsOrtValue(allocator, dims, rank, type, &value), argument);
    check(ort->GetTensorMutableData(value, &data), argument);
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path, strerror(errno));
    if (fread(data, type_bytes(type, argument), count, f) != count || fgetc(f) != EOF)
        die(path, "its size does not match the shape");
    fclose(f);
    return value;
}

static void write_output(const char *directory, const char *name, const OrtValue *value) {
    OrtTensorTypeAndShapeInfo *info;
    int64_t dims[MAX_RANK];
    size_t rank, count;
    ONNXTensorElementDataType type;
    void *data;
    check(ort->GetTensorTypeAndShape(value, &info), name);
    check(ort->GetDimensionsCount(info, &rank), name);
    if (rank > MAX_RANK)
        die(name, "too many dimensions");
    check(ort->GetDimensions(info, dims, rank), name);
    check(ort->GetTensorShapeElementCount(info, &count), name);
    check(ort->GetTensorElementType(info, &type), name);
    check(ort->GetTensorMutableData((OrtValue *)value, &data), name);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.raw", directory, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, type_bytes(type, name), count, f) != count || fclose(f))
        die(path, strerror(errno));
    printf("%s %s ", name, type_name(type, name));
    for (size_t i = 0; i < rank; i++)
        printf("%s%lld", i ? "," : "", (long long)dims[i]);
    puts("");
    ort->ReleaseTensorTypeAndShapeInfo(info);
}

int main(int argc, char **argv) {
    if (argc < 3 || argc - 3 > MAX_VALUES)
        die("usage", "run-onnx MODEL OUTDIR [NAME=FILE:D,D,...]...");
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!ort)
        die("ONNX Runtime", "the library is older than the header");
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtAllocator *allocator;
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "run-onnx", &env), "start");
    check(ort->CreateSessionOptions(&options), "start");
    check(ort->SetIntraOpNumThreads(options, 1), "start");
    check(ort->CreateSession(env, argv[1], options, &session), argv[1]);
    check(ort->GetAllocatorWithDefaultOptions(&allocator), "start");

    OrtValue *inputs[MAX_VALUES], *outputs[MAX_VALUES] = {0};
    const char *input_names[MAX_VALUES];
    char *output_names[MAX_VALUES];
    size_t input_count = (size_t)(argc - 3), output_count;
    for (size_t i = 0; i < input_count; i++) {
        inputs[i] = read_input(session, argv[3 + i], allocator);
        input_names[i] = argv[3 + i];
    }
    check(ort->SessionGetOutputCount(session, &output_count), argv[1]);
    if (output_count > MAX_VALUES)
        die(argv[1], "too many outputs");
    for (size_t i = 0; i < output_count; i++)
        check(ort->SessionGetOutputName(session, i, allocator, &output_names[i]), argv[1]);
    check(ort->Run(session, NULL, input_names, (const OrtValue *const *)inputs, input_count,
                   (const char *const *)output_names, output_count, outputs),
          argv[1]);
    for (size_t i = 0; i < output_count; i++) {
        write_output(argv[2], output_names[i], outputs[i]);
        check(ort->AllocatorFree(allocator, output_names[i]), "stop");
        ort->ReleaseValue(outputs[i]);
    }
    for (size_t i = 0; i < input_count; i++)
        ort->ReleaseValue(inputs[i]);
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(env);
    return 0;
}
