package org.threegate.rl.policy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;

/**
 * A decoder with float32 parameters that can be differentiated, by libtorch. Every derivative
 * exists, of any order: attention is written out, not fused.
 *
 * <pre>{@code
 * try (Decoder model = Decoder.load(context, Path.of("base"))) {
 *   var logits = model.logits(tokens, mask);
 *   System.out.println(logits.size(2) + " entries of the vocabulary");
 * }
 * }</pre>
 */
public final class Decoder implements AutoCloseable {
  private static final int CHUNK = 1 << 30; // bytes that are copied at a time
  private static final double MASKED = -1e30; // not infinite: a row without any token is no NaN

  static {
    Threads.useAll();
  }

  private final DecoderConfig config;
  private final Map<String, Tensor> parameters;
  private final Tensor frequencies;

  private Decoder(DecoderConfig config, Map<String, Tensor> parameters) {
    this.config = config;
    this.parameters = parameters;
    double[] angles = config.rotary().frequencies(config.headDimension());
    frequencies = Scopes.own(() -> floats(angles, angles.length));
  }

  private static Tensor floats(double[] values, long... shape) {
    float[] narrow = new float[values.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) values[i];
    }
    return Tensors.of(narrow, shape);
  }

  /**
   * Reads a Hugging Face directory; parameters become float32, whatever they are stored as.
   *
   * @throws InvalidInputException when it is none, or its tensors are not those of its config.json
   */
  public static Decoder load(Context context, Path directory) {
    DecoderConfig config = DecoderConfig.read(directory);
    Map<String, Tensor> parameters = new LinkedHashMap<>();
    try (Checkpoint files = Checkpoint.open(context, directory)) {
      config.parameters().forEach((name, shape) -> parameters.put(name, read(files, name, shape)));
      for (String name : files.tensors().keySet()) {
        if (!parameters.containsKey(name)
            && !name.endsWith("rotary_emb.inv_freq")
            && !(config.tiedEmbeddings() && name.equals(DecoderConfig.HEAD))) {
          throw new InvalidInputException(
              directory + ": tensor \"" + name + "\" is none of a decoder of this config.json");
        }
      }
      files.check();
    } catch (RuntimeException e) {
      parameters.values().forEach(Tensor::close);
      throw e;
    }
    return new Decoder(config, parameters);
  }

  private static Tensor read(Checkpoint files, String name, List<Long> shape) {
    org.threegate.checkpoint.Tensor stored = files.tensors().get(name);
    if (stored == null) {
      throw new InvalidInputException(files.path() + ": tensor \"" + name + "\" is missing");
    }
    String where = stored.file().path() + ": tensor \"" + name + "\" ";
    if (!stored.shape().equals(shape)) {
      throw new InvalidInputException(
          where + "has shape " + stored.shape() + "; config.json makes it " + shape);
    }
    ScalarType type =
        switch (stored.type()) {
          case BF16 -> ScalarType.BFloat16;
          case F16 -> ScalarType.Half;
          case F32 -> ScalarType.Float;
          case F64 -> ScalarType.Double;
          default ->
              throw new InvalidInputException(
                  where + "is " + stored.type() + "; BF16, F16, F32 or F64 is needed");
        };
    return Scopes.own(
        () -> {
          Tensor copy = torch.empty(Tensors.shape(shape), new TensorOptions(type), null);
          for (long at = 0; at < stored.bytes(); at += CHUNK) {
            int count = (int) Math.min(CHUNK, stored.bytes() - at);
            ByteBuffer part = stored.file().buffer().slice(stored.offset() + at, count);
            Pointer.memcpy(
                new BytePointer(copy.data_ptr()).getPointer(at), new BytePointer(part), count);
          }
          return copy.to(ScalarType.Float).requires_grad_(true);
        });
  }

  public DecoderConfig config() {
    return config;
  }

  /** By the names of checkpoints, float32; training changes them where they lie. */
  public Map<String, Tensor> parameters() {
    return Collections.unmodifiableMap(parameters);
  }

  /**
   * Writes {@code model.safetensors}, whole or not at all.
   *
   * @param type BF16, rounded to nearest even, or F32
   */
  public void write(Path directory, TensorType type) throws IOException {
    ScalarType to =
        switch (type) {
          case BF16 -> ScalarType.BFloat16;
          case F32 -> ScalarType.Float;
          default -> throw new IllegalArgumentException("BF16 or F32, not " + type);
        };
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    config
        .parameters()
        .forEach(
            (name, shape) ->
                writer.tensor(
                    name,
                    type,
                    shape,
                    out -> {
                      try (Tensor stored =
                          Scopes.keep(() -> parameters.get(name).detach().to(to).contiguous())) {
                        long bytes = stored.numel() * stored.element_size();
                        BytePointer data = new BytePointer(stored.data_ptr());
                        for (long at = 0; at < bytes; at += CHUNK) {
                          long count = Math.min(CHUNK, bytes - at);
                          ByteBuffer part = data.getPointer(at).capacity(count).asByteBuffer();
                          while (part.hasRemaining()) {
                            out.write(part);
                          }
                        }
                      }
                    }));
    writer.write(directory.resolve("model.safetensors"));
  }

  /**
   * Logits of the token after each.
   *
   * @param tokens [batch, tokens], int64
   * @param mask of those that are some, the same shape, bool: padding may stand on either side
   * @return [batch, tokens, vocabulary]; what they are where the mask is false has no meaning
   */
  public Tensor logits(Tensor tokens, Tensor mask) {
    return Scopes.keep(() -> head(hidden(tokens, mask, Optional.empty())));
  }

  /**
   * Logits of the token after the last one, without a gradient; {@code tokens} follow what the
   * cache has seen.
   *
   * @return [batch, vocabulary]
   */
  public Tensor next(Tensor tokens, Tensor mask, KeyValueCache cache) {
    return Scopes.keepWithoutGradient(
        () -> head(hidden(tokens, mask, Optional.of(cache)).select(1, tokens.size(1) - 1)));
  }

  /**
   * Log-probabilities of tokens 1, 2, …, given those before them.
   *
   * @param temperature by which logits are divided
   * @return [batch, tokens - 1]; without a meaning where the mask of the token is false
   */
  public Tensor logProbabilities(Tensor tokens, Tensor mask, double temperature) {
    return Scopes.keep(
        () -> {
          long next = tokens.size(1) - 1;
          Tensor states = hidden(tokens, mask, Optional.empty()).narrow(1, 0, next);
          Tensor logits = head(states).div(new Scalar(temperature));
          return logits
              .log_softmax(-1)
              .gather(-1, tokens.narrow(1, 1, next).unsqueeze(-1))
              .squeeze(-1);
        });
  }

  private Tensor head(Tensor states) {
    return torch.linear(
        states,
        parameters.get(config.tiedEmbeddings() ? DecoderConfig.EMBEDDING : DecoderConfig.HEAD));
  }

  /** What all layers of one call share. */
  private record Call(
      long batch,
      long tokens,
      Tensor cosines,
      Tensor sines,
      Map<Integer, Tensor> masks,
      Optional<KeyValueCache> cache) {}

  private Tensor hidden(Tensor tokens, Tensor mask, Optional<KeyValueCache> cache) {
    long count = tokens.size(1);
    long before = cache.map(KeyValueCache::length).orElse(0);
    if (config.rotary().type().equals("dynamic") && before + count > config.positions()) {
      throw new IllegalArgumentException(
          before
              + count
              + " tokens; with dynamic rotary scaling "
              + config.positions()
              + " are supported");
    }
    Tensor known = cache.map(own -> own.append(mask)).orElse(mask);
    Tensor positions =
        known.cumsum(1).sub(new Scalar(1)).clamp_min(new Scalar(0)).narrow(1, before, count);
    Tensor angles = positions.unsqueeze(-1).mul(frequencies);
    Tensor both = torch.cat(Tensors.vector(angles, angles), -1).unsqueeze(2);
    Scalar scale = new Scalar(config.rotary().scale());
    Map<Integer, Tensor> masks = new HashMap<>();
    for (int window : config.windows()) {
      masks.computeIfAbsent(window, own -> attentionMask(known, before, count, own));
    }
    Call call =
        new Call(tokens.size(0), count, both.cos().mul(scale), both.sin().mul(scale), masks, cache);
    Tensor states = torch.embedding(parameters.get(DecoderConfig.EMBEDDING), tokens);
    for (int layer = 0; layer < config.layers(); layer++) {
      states = states.add(attention(call, layer, norm(states, layer, "input_layernorm")));
      states = states.add(feedForward(layer, norm(states, layer, "post_attention_layernorm")));
    }
    cache.ifPresent(own -> own.advance((int) count));
    return normed(states, parameters.get(DecoderConfig.NORM));
  }

  /** To be added to scores: [batch, 1, 1, new tokens, all tokens]. */
  private static Tensor attentionMask(Tensor known, long before, long count, int window) {
    long all = before + count;
    Tensor queries = Tensors.range(before, all).unsqueeze(1);
    Tensor keys = Tensors.range(0, all).unsqueeze(0);
    Tensor seen = keys.le(queries);
    if (window > 0) {
      seen = seen.logical_and(queries.sub(keys).lt(new Scalar(window)));
    }
    return torch
        .zeros(new long[] {1}, new TensorOptions(ScalarType.Float))
        .masked_fill(
            seen.unsqueeze(0).logical_and(known.unsqueeze(1)).logical_not(), new Scalar(MASKED))
        .unsqueeze(1)
        .unsqueeze(1);
  }

  private Tensor norm(Tensor states, int layer, String name) {
    return normed(states, parameters.get(DecoderConfig.layer(layer, name + ".weight")));
  }

  private Tensor normed(Tensor states, Tensor weight) {
    Tensor squares = states.mul(states).mean(new long[] {-1}, true, null);
    return states.mul(squares.add(new Scalar(config.normEpsilon())).rsqrt()).mul(weight);
  }

  private Tensor linear(Tensor input, int layer, String name) {
    Tensor weight = parameters.get(DecoderConfig.layer(layer, name + ".weight"));
    Tensor bias = parameters.get(DecoderConfig.layer(layer, name + ".bias"));
    return bias == null
        ? torch.linear(input, weight)
        : torch.linear(input, weight, new TensorOptional(bias));
  }

  private Tensor attention(Call call, int layer, Tensor states) {
    long width = config.headDimension();
    long groups = config.keyValueHeads();
    long each = config.heads() / groups;
    Tensor queries = heads(call, layer, states, "q", config.heads());
    Tensor ownKeys = heads(call, layer, states, "k", config.keyValueHeads()).transpose(1, 2);
    Tensor ownValues =
        linear(states, layer, "self_attn.v_proj")
            .view(call.batch(), call.tokens(), groups, width)
            .transpose(1, 2);
    Tensor keys = call.cache().map(own -> own.appendKeys(layer, ownKeys)).orElse(ownKeys);
    Tensor values = call.cache().map(own -> own.appendValues(layer, ownValues)).orElse(ownValues);
    long all = keys.size(2);
    Tensor mask = call.masks().get(config.windows().get(layer));
    if (call.cache().isPresent()) {
      // Nothing is differentiated: one fused kernel, which has no second derivative.
      Tensor mixed =
          torch.scaled_dot_product_attention(
              queries.transpose(1, 2),
              keys,
              values,
              new TensorOptional(mask.squeeze(1)),
              0.0,
              false,
              new DoubleOptional(1 / Math.sqrt(width)),
              true);
      return linear(
          mixed.transpose(1, 2).reshape(call.batch(), call.tokens(), config.heads() * width),
          layer,
          "self_attn.o_proj");
    }
    // Query heads that share keys are rows of one product.
    Tensor rows =
        queries
            .view(call.batch(), call.tokens(), groups, each, width)
            .permute(0, 2, 3, 1, 4)
            .reshape(call.batch(), groups, each * call.tokens(), width);
    Tensor weights =
        rows.matmul(keys.transpose(2, 3))
            .mul(new Scalar(1 / Math.sqrt(width)))
            .view(call.batch(), groups, each, call.tokens(), all)
            .add(mask)
            .softmax(-1)
            .view(call.batch(), groups, each * call.tokens(), all);
    Tensor mixed =
        weights
            .matmul(values)
            .view(call.batch(), groups, each, call.tokens(), width)
            .permute(0, 3, 1, 2, 4)
            .reshape(call.batch(), call.tokens(), config.heads() * width);
    return linear(mixed, layer, "self_attn.o_proj");
  }

  /** Rotated heads of queries or keys: [batch, tokens, heads, width]. */
  private Tensor heads(Call call, int layer, Tensor states, String name, int count) {
    long half = config.headDimension() / 2;
    Tensor heads =
        linear(states, layer, "self_attn." + name + "_proj")
            .view(call.batch(), call.tokens(), count, config.headDimension());
    if (config.queryNorm()) {
      heads = norm(heads, layer, "self_attn." + name + "_norm");
    }
    Tensor turned =
        torch.cat(
            Tensors.vector(heads.narrow(-1, half, half).neg(), heads.narrow(-1, 0, half)), -1);
    return heads.mul(call.cosines()).add(turned.mul(call.sines()));
  }

  private Tensor feedForward(int layer, Tensor states) {
    Tensor gate = torch.silu(linear(states, layer, "mlp.gate_proj"));
    return linear(gate.mul(linear(states, layer, "mlp.up_proj")), layer, "mlp.down_proj");
  }

  @Override
  public void close() {
    List<Tensor> all = new ArrayList<>(parameters.values());
    all.add(frequencies);
    all.forEach(Tensor::close);
  }
}
