"""SDXL's five networks at a size for tests, as graphs. The modules and their names are those of diffusers (UNet2DConditionModel,
AutoencoderKL) and transformers (CLIPTextModel, CLIPTextModelWithProjection); the configurations have the keys that those write."""
import numpy as np
import onnx

UNET = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
    "attention_head_dim": [2, 4, 4], "block_out_channels": [16, 32, 32], "center_input_sample": False, "class_embed_type": None,
    "cross_attention_dim": 56, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn", "norm_eps": 1e-05, "norm_num_groups": 8, "out_channels": 4,
    "projection_class_embeddings_input_dim": 80, "resnet_time_scale_shift": "default", "sample_size": 8, "time_cond_proj_dim": None,
    "time_embedding_type": "positional", "transformer_layers_per_block": [1, 1, 2], "upcast_attention": None,
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "use_linear_projection": True,
}
VAE = {
    "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [8, 16, 32, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 4, "force_upcast": True, "in_channels": 3, "latent_channels": 4,
    "layers_per_block": 1, "norm_num_groups": 8, "out_channels": 3, "sample_size": 64, "scaling_factor": 0.13025,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}


def text_config(second, vocabulary):
    """vocabulary: the number of tokens; the last two are the specials."""
    width = 32 if second else 24
    return {
        "architectures": ["CLIPTextModelWithProjection" if second else "CLIPTextModel"], "attention_dropout": 0.0,
        "bos_token_id": vocabulary - 2, "dropout": 0.0, "eos_token_id": vocabulary - 1, "hidden_act": "gelu" if second else "quick_gelu",
        "hidden_size": width, "intermediate_size": 4 * width, "layer_norm_eps": 1e-05, "max_position_embeddings": 77,
        "model_type": "clip_text_model", "num_attention_heads": width // 8, "num_hidden_layers": 3, "pad_token_id": 1,
        "projection_dim": 32, "vocab_size": vocabulary,
    }


def resnet(g, name, x, inputs, outputs, groups, epsilon, time=None, time_width=0):
    with g.module(name):
        y = g.silu(g.group_norm(x, "norm1", inputs, groups, epsilon), "nonlinearity")
        y = g.conv(y, "conv1", inputs, outputs)
        if time:
            shift = g.linear(g.silu(time, "nonlinearity"), "time_emb_proj", time_width, outputs, rank=2)
            y = g.op("Add", y, g.op("Unsqueeze", shift, g.i64(2, 3)))
        y = g.silu(g.group_norm(y, "norm2", outputs, groups, epsilon), "nonlinearity")
        y = g.conv(y, "conv2", outputs, outputs)
        return g.op("Add", x if inputs == outputs else g.conv(x, "conv_shortcut", inputs, outputs, kernel=1), y)


def to_tokens(g, x, channels):
    """[batch,channels,h,w] -> [batch,h*w,channels], and the shape to go back to."""
    last = g.op("Transpose", x, perm=(0, 2, 3, 1))
    return g.op("Reshape", last, g.i64(0, -1, channels)), g.op("Shape", last)


def from_tokens(g, x, shape):
    return g.op("Transpose", g.op("Reshape", x, shape), perm=(0, 3, 1, 2))


def upsample(g, x, channels):
    with g.module("upsamplers.0"):
        x = g.op("Resize", x, "", g.const(np.float32([1, 1, 2, 2])), mode="nearest", coordinate_transformation_mode="asymmetric",
                 nearest_mode="floor")
        return g.conv(x, "conv", channels, channels)


# ---- UNet ----

def attention(g, name, x, width, heads, context=None, context_width=0):
    with g.module(name):
        source, source_width = (context, context_width) if context else (x, width)
        query = g.linear(x, "to_q", width, width, bias=False)
        key = g.linear(source, "to_k", source_width, width, bias=False)
        value = g.linear(source, "to_v", source_width, width, bias=False)
        return g.linear(g.attend(query, key, value, width, heads), "to_out.0", width, width)


def feed_forward(g, x, width):
    with g.module("ff"):
        with g.module("net.0"):
            both = g.linear(x, "proj", width, 8 * width)
            value = g.op("Slice", both, g.i64(0), g.i64(4 * width), g.i64(-1))
            gate = g.op("Slice", both, g.i64(4 * width), g.i64(8 * width), g.i64(-1))
            y = g.op("Mul", value, g.gelu(gate))
        return g.linear(y, "net.2", 4 * width, width, gain=1.5)


def transformer(g, name, x, width, heads, depth, context, c):
    with g.module(name):
        y, shape = to_tokens(g, g.group_norm(x, "norm", width, c["norm_num_groups"], 1e-6), width)
        y = g.linear(y, "proj_in", width, width)
        for i in range(depth):
            with g.module(f"transformer_blocks.{i}"):
                y = g.op("Add", attention(g, "attn1", g.layer_norm(y, "norm1", width), width, heads), y)
                y = g.op("Add", attention(g, "attn2", g.layer_norm(y, "norm2", width), width, heads, context, c["cross_attention_dim"]), y)
                y = g.op("Add", feed_forward(g, g.layer_norm(y, "norm3", width), width), y)
        return g.op("Add", from_tokens(g, g.linear(y, "proj_out", width, width), shape), x)


def sinusoids(g, x, width):
    """[n,1] -> [n,width], cosines first, in float32 whatever the graph's type."""
    frequencies = np.exp(-np.log(10000) * np.arange(width // 2) / (width // 2)).astype(np.float32)
    angles = g.op("Mul", g.op("Cast", x, to=int(onnx.TensorProto.FLOAT)), g.const(frequencies))
    waves = g.op("Concat", g.op("Cos", angles), g.op("Sin", angles), axis=-1)
    return g.op("Cast", waves, to=int(onnx.TensorProto.FLOAT16 if g.weights.dtype == np.float16 else onnx.TensorProto.FLOAT))


def embedding(g, name, x, inputs, width):
    with g.module(name):
        return g.linear(g.silu(g.linear(x, "linear_1", inputs, width, rank=2), "act"), "linear_2", width, width, rank=2)


def time_embedding(g, c, timestep, text_embeds, time_ids):
    first, small, pooled = c["block_out_channels"][0], c["addition_time_embed_dim"], c["projection_class_embeddings_input_dim"]
    with g.module("time_proj"):
        time = sinusoids(g, g.op("Reshape", timestep, g.i64(-1, 1)), first)
    with g.module("add_time_proj"):
        sizes = g.op("Reshape", sinusoids(g, g.op("Reshape", time_ids, g.i64(-1, 1)), small), g.i64(-1, 6 * small))
    added = g.op("Concat", text_embeds, sizes, axis=-1)
    return g.op("Add", embedding(g, "time_embedding", time, first, 4 * first), embedding(g, "add_embedding", added, pooled, 4 * first))


class Blocks:
    """What each level of the UNet is made of. Calls take and give (x, its channels)."""

    def __init__(self, g, c, time, context):
        self.g, self.c, self.time, self.context = g, c, time, context

    def resnet(self, name, x, inputs, outputs):
        c = self.c
        return resnet(self.g, name, x, inputs, outputs, c["norm_num_groups"], c["norm_eps"], self.time, 4 * c["block_out_channels"][0]), outputs

    def transformer(self, name, x, level):
        c = self.c
        width, heads, depth = (c[key][level] for key in ("block_out_channels", "attention_head_dim", "transformer_layers_per_block"))
        return transformer(self.g, name, x, width, heads, depth, self.context, c)

    def down(self, x, width):
        """Also gives all that the way up will want, the last first to be taken."""
        g, c, skips = self.g, self.c, [(x, width)]
        for level, (kind, outputs) in enumerate(zip(c["down_block_types"], c["block_out_channels"])):
            with g.module(f"down_blocks.{level}"):
                for i in range(c["layers_per_block"]):
                    x, width = self.resnet(f"resnets.{i}", x, width, outputs)
                    x = self.transformer(f"attentions.{i}", x, level) if kind.startswith("CrossAttn") else x
                    skips.append((x, width))
                if level < len(c["block_out_channels"]) - 1:
                    with g.module("downsamplers.0"):
                        x = g.conv(x, "conv", width, width, stride=2)
                    skips.append((x, width))
        return x, width, skips

    def middle(self, x, width):
        with self.g.module("mid_block"):
            x, width = self.resnet("resnets.0", x, width, width)
            x = self.transformer("attentions.0", x, -1)
            return self.resnet("resnets.1", x, width, width)

    def up(self, x, width, skips):
        g, c = self.g, self.c
        for i, kind in enumerate(c["up_block_types"]):
            level = len(c["block_out_channels"]) - 1 - i
            with g.module(f"up_blocks.{i}"):
                for j in range(c["layers_per_block"] + 1):
                    skip, more = skips.pop()
                    x, width = self.resnet(f"resnets.{j}", g.op("Concat", x, skip, axis=1), width + more, c["block_out_channels"][level])
                    x = self.transformer(f"attentions.{j}", x, level) if kind.startswith("CrossAttn") else x
                x = upsample(g, x, width) if level else x
        return x, width


def unet_inputs(g, c):
    batch = lambda name, *shape: g.input(name, ["batch_size", *shape], g.weights.dtype)
    pooled = c["projection_class_embeddings_input_dim"] - 6 * c["addition_time_embed_dim"]
    return (batch("sample", c["in_channels"], "height", "width"), g.input("timestep", [], g.weights.dtype),
            batch("encoder_hidden_states", "sequence_length", c["cross_attention_dim"]), batch("text_embeds", pooled), batch("time_ids", 6))


def unet(g, c):
    sample, timestep, context, text_embeds, time_ids = unet_inputs(g, c)
    time = time_embedding(g, c, timestep, text_embeds, time_ids)
    blocks, width = Blocks(g, c, time, context), c["block_out_channels"][0]
    x, width, skips = blocks.down(g.conv(sample, "conv_in", c["in_channels"], width), width)
    x, width = blocks.up(*blocks.middle(x, width), skips)
    x = g.silu(g.group_norm(x, "conv_norm_out", width, c["norm_num_groups"], c["norm_eps"]), "conv_act")
    x = g.conv(x, "conv_out", width, c["out_channels"], gain=1.7)
    g.output(x, "out_sample", ["batch_size", c["out_channels"], "height", "width"], g.weights.dtype)


# ---- text encoders ----

def text_attention(g, x, width, heads, mask):
    with g.module("self_attn"):
        query, key, value = (g.linear(x, name, width, width) for name in ("q_proj", "k_proj", "v_proj"))
        return g.linear(g.attend(query, key, value, width, heads, mask), "out_proj", width, width)


def text_feed_forward(g, x, c):
    width, inner = c["hidden_size"], c["intermediate_size"]
    with g.module("mlp"):
        y = g.linear(x, "fc1", width, inner)
        with g.module("activation_fn"):
            if c["hidden_act"] == "gelu":
                y = g.gelu(y)
            else:
                y = g.op("Mul", y, g.op("Sigmoid", g.op("Mul", y, g.number(1.702))))
        return g.linear(y, "fc2", inner, width, gain=1.5)


def text_embeddings(g, ids, c):
    """Token plus position; and the causal mask."""
    count = g.op("Slice", g.op("Shape", ids), g.i64(1), g.i64(2))
    with g.module("embeddings"):
        with g.module("token_embedding"):
            tokens = g.op("Gather", g.parameter("weight", (c["vocab_size"], c["hidden_size"]), 1), ids)
        with g.module("position_embedding"):
            places = g.parameter("weight", (c["max_position_embeddings"], c["hidden_size"]), 0.3)
            places = g.op("Slice", places, g.i64(0), count, g.i64(0))
        x = g.op("Add", tokens, places)
    lowest = np.finfo(g.weights.dtype).min
    mask = g.const(np.triu(np.full((c["max_position_embeddings"],) * 2, lowest, g.weights.dtype), 1))
    for axis in (0, 1):
        mask = g.op("Slice", mask, g.i64(0), count, g.i64(axis))
    return x, mask


def pool(g, x, ids, c):
    """Where the first EOS stands; -> [batch,width]"""
    is_end = g.op("Cast", g.op("Equal", ids, g.i64(c["eos_token_id"])), to=int(onnx.TensorProto.INT32))
    return g.op("GatherND", x, g.op("ArgMax", is_end, axis=1, keepdims=1), batch_dims=1)


def text_encoder(g, c):
    width, tokens = c["hidden_size"], ["batch_size", "sequence_length"]
    ids = g.input("input_ids", tokens, np.int64)
    with g.module("text_model"):
        x, mask = text_embeddings(g, ids, c)
        states = [x]
        for i in range(c["num_hidden_layers"]):
            with g.module("encoder"), g.module(f"layers.{i}"):
                x = g.op("Add", x, text_attention(g, g.layer_norm(x, "layer_norm1", width), width, c["num_attention_heads"], mask))
                x = g.op("Add", x, text_feed_forward(g, g.layer_norm(x, "layer_norm2", width), c))
            states.append(x)
        last = g.layer_norm(x, "final_layer_norm", width)
        pooled = pool(g, last, ids, c)
    if c["architectures"] == ["CLIPTextModelWithProjection"]:
        projected = g.linear(pooled, "text_projection", width, c["projection_dim"], bias=False, rank=2)
        g.output(projected, "text_embeds", ["batch_size", c["projection_dim"]], g.weights.dtype)
        g.output(last, "last_hidden_state", [*tokens, width], g.weights.dtype)
    else:
        g.output(last, "last_hidden_state", [*tokens, width], g.weights.dtype)
        g.output(pooled, "pooler_output", ["batch_size", width], g.weights.dtype)
    for i, state in enumerate(states):
        g.output(state, f"hidden_states.{i}", [*tokens, width], g.weights.dtype)


# ---- VAE ----

EPSILON = 1e-6


def vae_middle(g, x, width, groups):
    with g.module("mid_block"):
        x = resnet(g, "resnets.0", x, width, width, groups, EPSILON)
        with g.module("attentions.0"):
            y, shape = to_tokens(g, g.group_norm(x, "group_norm", width, groups, EPSILON), width)
            query, key, value = (g.linear(y, name, width, width) for name in ("to_q", "to_k", "to_v"))
            y = g.linear(g.attend(query, key, value, width, 1), "to_out.0", width, width)
            x = g.op("Add", from_tokens(g, y, shape), x)
        return resnet(g, "resnets.1", x, width, width, groups, EPSILON)


def vae_end(g, x, width, outputs, groups, gain):
    x = g.silu(g.group_norm(x, "conv_norm_out", width, groups, EPSILON), "conv_act")
    return g.conv(x, "conv_out", width, outputs, gain=gain)


def vae_decoder(g, c):
    latent, widths, groups = c["latent_channels"], c["block_out_channels"], c["norm_num_groups"]
    x = g.input("latent_sample", ["batch_size", latent, "height_latent", "width_latent"], g.weights.dtype)
    x = g.conv(x, "post_quant_conv", latent, latent, kernel=1, gain=c["scaling_factor"])
    with g.module("decoder"):
        x, width = g.conv(x, "conv_in", latent, widths[-1]), widths[-1]
        x = vae_middle(g, x, width, groups)
        for i, outputs in enumerate(reversed(widths)):
            with g.module(f"up_blocks.{i}"):
                for j in range(c["layers_per_block"] + 1):
                    x, width = resnet(g, f"resnets.{j}", x, width, outputs, groups, EPSILON), outputs
                x = upsample(g, x, width) if i < len(widths) - 1 else x
        x = vae_end(g, x, width, c["out_channels"], groups, 0.5)
    g.output(x, "sample", ["batch_size", c["out_channels"], "height", "width"], g.weights.dtype)


def vae_encoder(g, c):
    latent, widths, groups = c["latent_channels"], c["block_out_channels"], c["norm_num_groups"]
    x = g.input("sample", ["batch_size", c["in_channels"], "height", "width"], g.weights.dtype)
    with g.module("encoder"):
        x, width = g.conv(x, "conv_in", c["in_channels"], widths[0]), widths[0]
        for i, outputs in enumerate(widths):
            with g.module(f"down_blocks.{i}"):
                for j in range(c["layers_per_block"]):
                    x, width = resnet(g, f"resnets.{j}", x, width, outputs, groups, EPSILON), outputs
                if i < len(widths) - 1:
                    with g.module("downsamplers.0"):
                        x = g.conv(x, "conv", width, width, stride=2, pads=(0, 0, 1, 1))
        x = vae_end(g, vae_middle(g, x, width, groups), width, 2 * latent, groups, 1.7)
    gain = np.repeat([1 / c["scaling_factor"], 0.5], latent)[:, None, None, None]  # means that scale to 1, variances near 1
    x = g.conv(x, "quant_conv", 2 * latent, 2 * latent, kernel=1, gain=gain)
    g.output(x, "latent_parameters", ["batch_size", 2 * latent, "height_latent", "width_latent"], g.weights.dtype)
