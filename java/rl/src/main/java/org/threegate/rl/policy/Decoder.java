package org.threegate.rl.policy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * A decoder that can be differentiated, by libtorch. Every derivative exists, of any order:
 * attention is written out, not fused.
 *
 * <pre>{@code
 * try (Decoder model = Decoder.load(context, Path.of("base"))) {
 *   var logits = model.logits(tokens, mask);
 *   System.out.println(logits.size(2) + " entries of the vocabulary");
 * }
 * }</pre>
 */
public final class Decoder implements AutoCloseable {
  private static final double MASKED = -1e30; // not infinite: a row without any token is no NaN

  static {
    Threads.initialise();
  }

  /** What parameters are kept and computed with as. */
  public enum Storage {
    /** As they are trained most exactly. */
    FLOAT32(ScalarType.Float),
    /** Rounded; an optimizer keeps float32 masters of them. */
    BF16(ScalarType.BFloat16),
    /** For derivatives that are to be exact; not for training. */
    FLOAT64(ScalarType.Double);

    final ScalarType type;

    Storage(ScalarType type) {
      this.type = type;
    }

    /** What norms and probabilities are computed in. */
    ScalarType exact() {
      return this == FLOAT64 ? type : ScalarType.Float;
    }
  }

  /** Is shown what a linear layer sees and makes: [batch, tokens, inputs] and [.., outputs]. */
  @FunctionalInterface
  interface Tap {
    void on(String weight, Tensor input, Tensor output);
  }

  private final String where;
  private final DecoderConfig config;
  private final Storage storage;
  private final Map<String, Tensor> parameters;
  private final Map<String, LowRankFactors> factors = new LinkedHashMap<>();
  private final Tensor frequencies;

  private Decoder(
      String where, DecoderConfig config, Storage storage, Map<String, Tensor> parameters) {
    this.where = where;
    this.config = config;
    this.storage = storage;
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
   * @throws InvalidInputException when it is none, its tensors are not those of its config.json, or
   *     an entry is no finite number
   */
  public static Decoder load(Context context, Path directory) {
    return load(context, directory, Storage.FLOAT32);
  }

  /** The same, with parameters stored as they are to be computed with. */
  public static Decoder load(Context context, Path directory, Storage storage) {
    DecoderConfig config = DecoderConfig.read(directory);
    Map<String, Tensor> parameters = new LinkedHashMap<>();
    try (Checkpoint files = Checkpoint.open(context, directory)) {
      requireLayers(config, files);
      config
          .parameters()
          .forEach((name, shape) -> parameters.put(name, read(files, name, shape, storage.type)));
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
    return new Decoder(directory.toString(), config, storage, parameters);
  }

  /**
   * A decoder whose parameters are drawn: vectors are 1, biases 0, matrices normal; those that
   * write into the residual stream by √(2 · layers) smaller.
   *
   * @param deviation of matrices
   */
  public static Decoder random(DecoderConfig config, double deviation, long seed) {
    Map<String, Tensor> parameters = new LinkedHashMap<>();
    SplittableRandom random = new SplittableRandom(seed);
    config
        .parameters()
        .forEach(
            (name, shape) -> {
              boolean writes = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
              double own = writes ? deviation / Math.sqrt(2.0 * config.layers()) : deviation;
              float[] values =
                  new float[Math.toIntExact(shape.stream().reduce(1L, Math::multiplyExact))];
              for (int i = 0; i < values.length; i++) {
                values[i] =
                    (float)
                        (shape.size() > 1
                            ? own * random.nextGaussian()
                            : name.endsWith(".bias") ? 0 : 1);
              }
              parameters.put(
                  name,
                  Scopes.own(() -> Tensors.of(values, Tensors.shape(shape)).requires_grad_(true)));
            });
    return new Decoder("a model that was drawn", config, Storage.FLOAT32, parameters);
  }

  /** Before anything is made of each layer. */
  private static void requireLayers(DecoderConfig config, Checkpoint files) {
    String last = DecoderConfig.layer(config.layers() - 1, "input_layernorm.weight");
    if (!files.tensors().containsKey(last)) {
      throw new InvalidInputException(
          files.path()
              + ": tensor \""
              + last
              + "\" is missing; config.json says that there are "
              + config.layers()
              + " layers");
    }
  }

  private static Tensor read(Checkpoint files, String name, List<Long> shape, ScalarType storedAs) {
    org.threegate.checkpoint.Tensor stored = files.tensors().get(name);
    if (stored == null) {
      throw new InvalidInputException(files.path() + ": tensor \"" + name + "\" is missing");
    }
    String where = stored.file().path() + ": tensor \"" + name + "\" ";
    if (!stored.shape().equals(shape)) {
      throw new InvalidInputException(
          where + "has shape " + stored.shape() + "; config.json makes it " + shape);
    }
    return Scopes.own(() -> TensorFiles.read(stored).to(storedAs).requires_grad_(true));
  }

  /** Where it was read, for errors. */
  String where() {
    return where;
  }

  /**
   * @throws InvalidInputException for a token that is none of the vocabulary
   */
  public void requireTokens(int... tokens) {
    for (int token : tokens) {
      if (token < 0 || token >= config.vocabulary()) {
        throw new InvalidInputException(
            where
                + ": token "
                + token
                + " of a vocabulary of "
                + config.vocabulary()
                + "; its tokenizer is another model's");
      }
    }
  }

  public DecoderConfig config() {
    return config;
  }

  public Storage storage() {
    return storage;
  }

  /**
   * By the names of checkpoints; training changes them where they lie, unless there are {@link
   * #factors}.
   */
  public Map<String, Tensor> parameters() {
    return Collections.unmodifiableMap(parameters);
  }

  /** What adds to weights, by the names of these. */
  public Map<String, LowRankFactors> factors() {
    return Collections.unmodifiableMap(factors);
  }

  /**
   * Adds a product of low rank to a weight. From now on such factors alone are trained.
   *
   * @param own with gradients; the decoder closes them
   */
  public void add(String weight, LowRankFactors own) {
    Tensor parameter = parameters.get(weight);
    if (parameter == null
        || parameter.dim() != 2
        || parameter.size(0) != own.b().size(0)
        || parameter.size(1) != own.a().size(1)
        || weight.equals(DecoderConfig.EMBEDDING)) {
      throw new IllegalArgumentException("factors that fit no linear layer \"" + weight + '"');
    }
    if (factors.putIfAbsent(weight, own) != null) {
      throw new IllegalArgumentException("a second pair of factors for \"" + weight + '"');
    }
    parameters.values().forEach(frozen -> frozen.requires_grad_(false));
  }

  /** What training moves: factors where there are some, by PEFT's names, else all parameters. */
  public Map<String, Tensor> trainable() {
    if (factors.isEmpty()) {
      return parameters();
    }
    Map<String, Tensor> all = new LinkedHashMap<>();
    factors.forEach(
        (weight, own) -> {
          String module = weight.substring(0, weight.length() - ".weight".length());
          all.put("base_model.model." + module + ".lora_A.weight", own.a());
          all.put("base_model.model." + module + ".lora_B.weight", own.b());
        });
    return all;
  }

  /** A weight as the model has it: a parameter where it lies, or its sum with factors' product. */
  public Tensor weight(String name) {
    Tensor parameter = parameters.get(name);
    LowRankFactors own = factors.get(name);
    if (own == null) {
      return parameter;
    }
    return Scopes.keepWithoutGradient(
        () ->
            parameter
                .to(storage.exact())
                .add(own.b().matmul(own.a()).mul(new Scalar(own.scale())))
                .to(storage.type));
  }

  /**
   * Writes {@code model.safetensors}, whole or not at all; products of factors are added.
   *
   * @param type BF16, rounded to nearest even, or F32
   */
  @SuppressWarnings("try")
  public void write(Path directory, TensorType type) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    try (PointerScope scope = new PointerScope()) {
      for (String name : parameters.keySet()) {
        TensorFiles.put(writer, name, type, weight(name));
      }
      writer.write(directory.resolve("model.safetensors"));
    }
  }

  /**
   * Logits of the token after each.
   *
   * @param tokens [batch, tokens], int64
   * @param mask of those that are some, the same shape, bool: padding may stand on either side
   * @return [batch, tokens, vocabulary]; what they are where the mask is false has no meaning
   */
  public Tensor logits(Tensor tokens, Tensor mask) {
    return Scopes.keep(
        () -> {
          Call call = begin(tokens, mask, Optional.empty(), Optional.empty());
          return head(call, hidden(call, embedded(tokens))).to(storage.exact());
        });
  }

  /** Makes a cache for sequences of up to {@code capacity} tokens. */
  public KeyValueCache cache(int batch, int capacity) {
    return KeyValueCache.of(config(), storage().type, batch, capacity);
  }

  /**
   * Logits of the token after the last one, without a gradient; {@code tokens} follow what the
   * cache has seen.
   *
   * @return [batch, vocabulary]
   */
  public Tensor next(Tensor tokens, Tensor mask, KeyValueCache cache) {
    return Scopes.keepWithoutGradient(
        () -> {
          Call call = begin(tokens, mask, Optional.of(cache), Optional.empty());
          Tensor states = hidden(call, embedded(tokens)).select(1, tokens.size(1) - 1);
          return head(call, states).to(storage.exact());
        });
  }

  /**
   * Log-probabilities of tokens 1, 2, …, given those before them.
   *
   * @param temperature by which logits are divided
   * @return [batch, tokens - 1]; without a meaning where the mask of the token is false
   */
  public Tensor logProbabilities(Tensor tokens, Tensor mask, double temperature) {
    return logProbabilities(tokens, mask, temperature, 1, tokens.size(1) - 1);
  }

  /**
   * The same of {@code count} tokens from the one at {@code from}, 1 or later: others cost no row
   * of the vocabulary.
   *
   * @return [batch, count]
   */
  public Tensor logProbabilities(
      Tensor tokens, Tensor mask, double temperature, long from, long count) {
    return Scopes.keep(
        () -> {
          Call call = begin(tokens, mask, Optional.empty(), Optional.empty());
          return chosen(call, hidden(call, embedded(tokens)), tokens, temperature, from, count);
        });
  }

  /** Log-probabilities of tokens, from the states before them. */
  Tensor chosen(
      Call call, Tensor states, Tensor tokens, double temperature, long from, long count) {
    Tensor logits =
        head(call, states.narrow(1, from - 1, count))
            .to(storage.exact())
            .div(new Scalar(temperature));
    return logits
        .log_softmax(-1)
        .gather(-1, tokens.narrow(1, from, count).unsqueeze(-1))
        .squeeze(-1);
  }

  Tensor head(Call call, Tensor states) {
    String name = config.tiedEmbeddings() ? DecoderConfig.EMBEDDING : DecoderConfig.HEAD;
    return call.product(name, states, torch.linear(states, parameters.get(name)), factors);
  }

  /** What all layers of one call share. */
  record Call(
      long batch,
      long tokens,
      Tensor cosines,
      Tensor sines,
      Map<Integer, Tensor> masks,
      Optional<KeyValueCache> cache,
      Optional<Tap> tap) {
    private Tensor product(
        String weight, Tensor input, Tensor plain, Map<String, LowRankFactors> factors) {
      LowRankFactors own = factors.get(weight);
      Tensor output = own == null ? plain : plain.add(own.product(input));
      tap.ifPresent(shown -> shown.on(weight, input, output));
      return output;
    }
  }

  /** Prepares what layers share. */
  Call begin(Tensor tokens, Tensor mask, Optional<KeyValueCache> cache, Optional<Tap> tap) {
    long count = tokens.size(1);
    long before = cache.map(KeyValueCache::length).orElse(0);
    if (config.rotary().extension() == Rotary.Extension.DYNAMIC
        && before + count > config.positions()) {
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
      masks.computeIfAbsent(
          window, own -> attentionMask(known, before, count, own).to(storage.type));
    }
    return new Call(
        tokens.size(0),
        count,
        both.cos().mul(scale).to(storage.type),
        both.sin().mul(scale).to(storage.type),
        masks,
        cache,
        tap);
  }

  Tensor embedded(Tensor tokens) {
    return torch.embedding(parameters.get(DecoderConfig.EMBEDDING), tokens);
  }

  /** All layers. */
  Tensor hidden(Call call, Tensor embedded) {
    Tensor states = embedded;
    for (int layer = 0; layer < config.layers(); layer++) {
      states = layer(call, layer, states);
    }
    call.cache().ifPresent(own -> own.advance((int) call.tokens()));
    return last(states);
  }

  /** One layer. */
  Tensor layer(Call call, int layer, Tensor before) {
    Tensor states = before.add(attention(call, layer, norm(before, layer, "input_layernorm")));
    return states.add(feedForward(call, layer, norm(states, layer, "post_attention_layernorm")));
  }

  /** What follows the last layer, but for the head. */
  Tensor last(Tensor states) {
    return normed(states, parameters.get(DecoderConfig.NORM));
  }

  /** To be added to scores: [batch, 1, 1, new tokens, all tokens]. */
  private static Tensor attentionMask(Tensor known, long before, long count, int window) {
    long all = before + count;
    Tensor queries = Tensors.range(before, all).unsqueeze(1);
    Tensor keys = Tensors.range(0, all).unsqueeze(0);
    Tensor seen = keys.le(queries);
    if (window > 0) {
      seen = seen.bitwise_and(queries.sub(keys).lt(new Scalar(window)));
    }
    return ModelDevice.placed(torch.zeros(new long[] {1}, new TensorOptions(ScalarType.Float)))
        .masked_fill(
            seen.unsqueeze(0).bitwise_and(known.unsqueeze(1)).bitwise_not(), new Scalar(MASKED))
        .unsqueeze(1)
        .unsqueeze(1);
  }

  private Tensor norm(Tensor states, int layer, String name) {
    return normed(states, parameters.get(DecoderConfig.layer(layer, name + ".weight")));
  }

  private Tensor normed(Tensor states, Tensor weight) {
    if (storage.type == storage.exact()) {
      return torch.rms_norm(
          states,
          new long[] {states.size(-1)},
          new TensorOptional(weight),
          new DoubleOptional(config.normEpsilon()));
    }
    // Transformers rounds before it multiplies by the weight.
    Tensor exact = states.to(storage.exact());
    Tensor squares = exact.mul(exact).mean(new long[] {-1}, true, null);
    return exact
        .mul(squares.add(new Scalar(config.normEpsilon())).rsqrt())
        .to(storage.type)
        .mul(weight);
  }

  private Tensor linear(Call call, Tensor input, int layer, String name) {
    String weight = DecoderConfig.layer(layer, name + ".weight");
    Tensor bias = parameters.get(DecoderConfig.layer(layer, name + ".bias"));
    Tensor plain =
        bias == null
            ? torch.linear(input, parameters.get(weight))
            : torch.linear(input, parameters.get(weight), new TensorOptional(bias));
    return call.product(weight, input, plain, factors);
  }

  private Tensor attention(Call call, int layer, Tensor states) {
    long width = config.headDimension();
    long groups = config.keyValueHeads();
    long each = config.heads() / groups;
    Tensor rotated =
        rotated(
            call,
            torch.cat(
                Tensors.vector(
                    heads(call, layer, states, "q", config.heads()),
                    heads(call, layer, states, "k", groups)),
                2));
    Tensor queries = rotated.narrow(2, 0, config.heads());
    Tensor ownKeys = rotated.narrow(2, config.heads(), groups).transpose(1, 2);
    Tensor ownValues =
        linear(call, states, layer, "self_attn.v_proj")
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
          call,
          mixed.transpose(1, 2).reshape(call.batch(), call.tokens(), config.heads() * width),
          layer,
          "self_attn.o_proj");
    }
    // Query heads that share keys are rows of one product.
    Tensor rows =
        queries
            .reshape(call.batch(), call.tokens(), groups, each, width)
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
    return linear(call, mixed, layer, "self_attn.o_proj");
  }

  /** Heads of queries or keys: [batch, tokens, heads, width]. */
  private Tensor heads(Call call, int layer, Tensor states, String name, long count) {
    Tensor heads =
        linear(call, states, layer, "self_attn." + name + "_proj")
            .view(call.batch(), call.tokens(), count, config.headDimension());
    return config.queryNorm() ? norm(heads, layer, "self_attn." + name + "_norm") : heads;
  }

  /** Heads, turned by the angles of their positions. */
  private Tensor rotated(Call call, Tensor heads) {
    long half = config.headDimension() / 2;
    Tensor turned =
        torch.cat(
            Tensors.vector(heads.narrow(-1, half, half).neg(), heads.narrow(-1, 0, half)), -1);
    return heads.mul(call.cosines()).addcmul(turned, call.sines());
  }

  private Tensor feedForward(Call call, int layer, Tensor states) {
    Tensor gate = torch.silu(linear(call, states, layer, "mlp.gate_proj"));
    return linear(
        call, gate.mul(linear(call, states, layer, "mlp.up_proj")), layer, "mlp.down_proj");
  }

  @Override
  public void close() {
    List<Tensor> all = new ArrayList<>(parameters.values());
    all.add(frequencies);
    factors.values().forEach(own -> all.addAll(List.of(own.a(), own.b())));
    all.forEach(Tensor::close);
  }
}
