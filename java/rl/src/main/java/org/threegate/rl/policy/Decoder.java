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
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * A decoder-only transformer on libtorch that can be differentiated. Derivatives of any order exist
 * where {@link #logProbabilities(Tensor, Tensor, double)} records gradients, because attention is
 * then composed of basic operations and not fused. {@link Differentiation} computes first
 * derivatives with the fused kernel.
 *
 * <pre>{@code
 * try (Decoder model = Decoder.load(context, Path.of("base"))) {
 *   var logits = model.logits(tokens, mask);
 *   System.out.println(logits.size(2) + " entries of the vocabulary");
 * }
 * }</pre>
 */
public final class Decoder implements AutoCloseable {
  private static final double MASKED = -1e30; // finite, so that a fully masked row gives no NaN

  static {
    Threads.initialise();
  }

  /** The dtype in which parameters are stored and used. */
  public enum Storage {
    /** float32: the most exact dtype for training. */
    FLOAT32(ScalarType.Float),
    /** bfloat16. The optimizer keeps float32 master weights. */
    BF16(ScalarType.BFloat16),
    /** float64, for exact derivatives. It is not supported for training. */
    FLOAT64(ScalarType.Double);

    final ScalarType type;

    Storage(ScalarType type) {
      this.type = type;
    }

    /** Returns the dtype in which norms and probabilities are computed. */
    ScalarType exact() {
      return this == FLOAT64 ? type : ScalarType.Float;
    }
  }

  /** Receives the input and the output of a linear layer, both [batch, tokens, features]. */
  @FunctionalInterface
  interface Tap {
    void on(String weight, Tensor input, Tensor output);
  }

  private static final long LARGEST_PIECE =
      1 << 22; // elements of which entropies are summed at once

  private final String where;
  private final DecoderConfig config;
  private final Storage storage;
  private final Map<String, Tensor> parameters;
  private final Map<String, LowRankFactors> factors = new LinkedHashMap<>();
  private final LinearLayers linear;
  private final Map<String, String> leftOut;
  private final Map<String, WeightPart> parts = new LinkedHashMap<>();
  // The frequencies of each kind of rotary embeddings, for sequences within the original length.
  private final Map<Rotary, Tensor> frequencies = new HashMap<>();

  private Decoder(String where, Storage storage, DecoderFiles files) {
    this.where = where;
    this.config = files.config();
    this.storage = storage;
    this.parameters = files.parameters();
    this.leftOut = files.leftOut();
    this.linear = new LinearLayers(parameters, factors);
    config.parts().forEach(part -> parts.put(part.name(), part));
    int width = config.attention().rotated();
    for (Mixer.Attention attention : attentions()) {
      frequencies.computeIfAbsent(
          attention.rotary(),
          rotary -> {
            double[] angles = rotary.frequencies(width, rotary.original());
            return Scopes.own(() -> floats(angles, angles.length));
          });
    }
  }

  /** Returns the attention of the layers that have one. */
  private List<Mixer.Attention> attentions() {
    return config.layers().stream()
        .map(DecoderConfig.Layer::mixer)
        .filter(Mixer.Attention.class::isInstance)
        .map(Mixer.Attention.class::cast)
        .toList();
  }

  /**
   * Returns the rotary frequencies, [pairs] or [batch, 1, pairs]. Where they depend on the length
   * of a sequence, each sequence has its own, whatever else is in the batch. Keys in a cache keep
   * the rotation that they were stored with, as in transformers.
   *
   * @param known false at padding, [batch, tokens so far], bool
   */
  private Tensor frequencies(Rotary rotary, Tensor known) {
    if (!rotary.dependsOnLength() || known.size(1) <= rotary.original()) {
      return frequencies.get(rotary);
    }
    int width = config.attention().rotated();
    long[] lengths = Tensors.longs(known.sum(new long[] {1}, false, null));
    double[] all = new double[lengths.length * (width / 2)];
    for (int i = 0; i < lengths.length; i++) {
      double[] own = rotary.frequencies(width, lengths[i]);
      System.arraycopy(own, 0, all, i * own.length, own.length);
    }
    return floats(all, lengths.length, 1, width / 2);
  }

  private static Tensor floats(double[] values, long... shape) {
    float[] narrow = new float[values.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) values[i];
    }
    return Tensors.of(narrow, shape);
  }

  /**
   * Loads a Hugging Face model directory. Parameters are converted to float32.
   *
   * @param context the context of the kernels
   * @param directory the directory with {@code config.json} and {@code *.safetensors}
   * @return the model
   * @throws InvalidInputException when the files are missing or damaged, the tensors do not match
   *     config.json, or an entry is not finite
   */
  public static Decoder load(Context context, Path directory) {
    return load(context, directory, Storage.FLOAT32);
  }

  /**
   * Loads a Hugging Face model directory, with parameters in the given dtype.
   *
   * @param context the context of the kernels
   * @param directory the directory with {@code config.json} and {@code *.safetensors}
   * @param storage the dtype of the parameters
   * @return the model, which the caller closes
   */
  public static Decoder load(Context context, Path directory, Storage storage) {
    DecoderFiles files = DecoderFiles.read(context, directory, storage.type);
    return new Decoder(directory.toString(), storage, files);
  }

  /**
   * Creates a decoder with random parameters. Norms change nothing, biases and sinks are 0, and
   * matrices are normal. Matrices that write into the residual stream are scaled down by √(2 ·
   * layers), as in GPT-2.
   *
   * @param config the shape of the model
   * @param deviation the standard deviation of the matrices
   * @param seed the seed of the parameters
   * @return the model
   */
  public static Decoder random(DecoderConfig config, double deviation, long seed) {
    Map<String, Tensor> parameters = new LinkedHashMap<>();
    InitialValues initial = new InitialValues(config, deviation);
    SplittableRandom random = new SplittableRandom(seed);
    config
        .parameters()
        .forEach(
            (name, shape) -> {
              float[] values = initial.of(name, shape, random);
              parameters.put(
                  name,
                  Scopes.own(() -> Tensors.of(values, Tensors.shape(shape)).requires_grad_(true)));
            });
    return new Decoder(
        "a random model", Storage.FLOAT32, new DecoderFiles(config, parameters, Map.of()));
  }

  /** Returns the place that the model was read from, for errors. */
  String where() {
    return where;
  }

  /**
   * Checks that tokens belong to the vocabulary.
   *
   * @param tokens the token ids
   * @throws InvalidInputException when a token does not
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
                + "; the tokenizer belongs to another model");
      }
    }
  }

  /** {@return the shape of the model} */
  public DecoderConfig config() {
    return config;
  }

  /** {@return the dtype in which parameters are stored} */
  public Storage storage() {
    return storage;
  }

  /**
   * {@return the parameters by their names in checkpoints} Training changes them in place, unless
   * the model has {@link #factors}.
   */
  public Map<String, Tensor> parameters() {
    return Collections.unmodifiableMap(parameters);
  }

  /**
   * {@return why stored tensors are no parameters, by their names} They belong to other models of
   * the checkpoint, or follow from what is there. Files that the decoder writes do not have them.
   */
  public Map<String, String> leftOut() {
    return Collections.unmodifiableMap(leftOut);
  }

  /** {@return the low-rank factors by the names of the weights that they are added to} */
  public Map<String, LowRankFactors> factors() {
    return Collections.unmodifiableMap(factors);
  }

  /**
   * Adds a low-rank product to a weight. From then on, only such factors are trained.
   *
   * @param weight the name of the weight
   * @param own the factors, which require gradients. The decoder closes them
   * @throws IllegalArgumentException when the shapes do not match, or the weight already has
   *     factors
   */
  public void add(String weight, LowRankFactors own) {
    Tensor parameter = parameters.get(weight);
    if (parameter == null
        || parameter.dim() != 2
        || !weight.endsWith(".weight")
        || parameter.size(0) != own.b().size(0)
        || parameter.size(1) != own.a().size(1)
        || weight.equals(config.names().embedding())) {
      throw new IllegalArgumentException(
          "the shapes of the factors do not match a linear layer \"" + weight + '"');
    }
    if (factors.putIfAbsent(weight, own) != null) {
      throw new IllegalArgumentException("the weight already has factors: \"" + weight + '"');
    }
    parameters.values().forEach(frozen -> frozen.requires_grad_(false));
  }

  /** {@return the tensors to train: the factors, with PEFT's names, or else all parameters} */
  public Map<String, Tensor> trainable() {
    if (factors.isEmpty()) {
      return parameters();
    }
    Map<String, Tensor> all = new LinkedHashMap<>();
    factors.forEach(
        (weight, own) -> {
          all.put(factor(weight, "A"), own.a());
          all.put(factor(weight, "B"), own.b());
        });
    return all;
  }

  /** Returns PEFT's name of a factor. */
  static String factor(String weight, String which) {
    String module = weight.substring(0, weight.length() - ".weight".length());
    return "base_model.model." + module + ".lora_" + which + ".weight";
  }

  /**
   * {@return the effective weight: the parameter itself, or its sum with the low-rank product}
   *
   * @param name the name of a parameter
   */
  public Tensor weight(String name) {
    Tensor parameter = parameters.get(name);
    return factors.containsKey(name)
        ? Scopes.keepWithoutGradient(() -> weight(name, Map.of()).to(storage.type))
        : parameter;
  }

  /**
   * {@return the effective weight before it is rounded to the dtype of the model}
   *
   * @param name the name of a parameter
   * @param masters the tensors that the optimizer moves, by the names of {@link #trainable}. A
   *     tensor that is missing is taken from the model
   */
  public Tensor weight(String name, Map<String, Tensor> masters) {
    Tensor parameter = parameters.get(name);
    LowRankFactors own = factors.get(name);
    if (own == null) {
      return masters.getOrDefault(name, parameter);
    }
    return Scopes.keepWithoutGradient(
        () -> {
          Tensor a = masters.getOrDefault(factor(name, "A"), own.a()).to(storage.exact());
          Tensor b = masters.getOrDefault(factor(name, "B"), own.b()).to(storage.exact());
          return parameter.to(storage.exact()).add(b.matmul(a).mul(new Scalar(own.scale())));
        });
  }

  /**
   * {@return the names of all matrices} Parts of fused matrices and of experts that are stored
   * together have the names of {@link WeightPart}. Biases are no matrices.
   */
  public List<String> matrices() {
    List<WeightPart> all = parts.values().stream().filter(WeightPart::isMatrix).toList();
    Set<String> fused = all.stream().map(WeightPart::parameter).collect(Collectors.toSet());
    List<String> names = new ArrayList<>();
    parameters.forEach(
        (name, parameter) -> {
          if (parameter.dim() == 2 && !name.endsWith("_bias") && !fused.contains(name)) {
            names.add(name);
          }
        });
    all.stream().map(WeightPart::name).forEach(names::add);
    return names;
  }

  /**
   * {@return an effective matrix, [outputs, inputs]}
   *
   * @param name one of {@link #matrices}
   */
  public Tensor matrix(String name) {
    return parts.containsKey(name) ? matrix(name, Map.of()) : weight(name);
  }

  /**
   * {@return an effective matrix before it is rounded to the dtype of the model, [outputs, inputs]}
   *
   * @param name one of {@link #matrices}
   * @param masters the tensors that the optimizer moves, by the names of {@link #trainable}. A
   *     tensor that is missing is taken from the model
   */
  public Tensor matrix(String name, Map<String, Tensor> masters) {
    WeightPart part = parts.get(name);
    return part == null
        ? weight(name, masters)
        : Scopes.keep(() -> part.matrix(weight(part.parameter(), masters)).contiguous());
  }

  /**
   * Writes {@code model.safetensors} atomically. Low-rank products are merged into the weights.
   *
   * @param directory the directory to write to
   * @param type BF16 (rounded to nearest, ties to even) or F32
   * @throws IOException when the file cannot be written
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
   * Computes the logits of the next token at each position.
   *
   * @param tokens the token ids, [batch, tokens], int64
   * @param mask false at padding, [batch, tokens], bool. Padding may be on either side
   * @return the logits, [batch, tokens, vocabulary]; undefined where the mask is false
   */
  public Tensor logits(Tensor tokens, Tensor mask) {
    return Scopes.keep(
        () -> {
          Call call = begin(tokens, mask, Optional.empty(), Optional.empty());
          return head(call, hidden(call, embedded(tokens))).to(storage.exact());
        });
  }

  /**
   * Creates a cache for sequences of up to {@code capacity} tokens.
   *
   * @param batch the number of sequences
   * @param capacity the maximal number of tokens of a sequence
   * @return the cache, which the caller closes
   */
  public KeyValueCache cache(int batch, int capacity) {
    return KeyValueCache.of(config, storage.type, storage.exact(), batch, capacity);
  }

  /**
   * Computes the logits that follow the last token, without gradients.
   *
   * @param tokens the new token ids, [batch, tokens], int64. They follow those in the cache
   * @param mask false at padding, [batch, tokens], bool
   * @param cache the keys and values of the tokens so far, to which the new ones are added
   * @return the logits, [batch, vocabulary]
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
   * Computes the log-probabilities of all tokens but the first, given the tokens before them.
   *
   * @param tokens the token ids, [batch, tokens], int64
   * @param mask false at padding, [batch, tokens], bool
   * @param temperature the divisor of the logits
   * @return the log-probabilities in nats, [batch, tokens - 1]; undefined where the mask is false
   */
  public Tensor logProbabilities(Tensor tokens, Tensor mask, double temperature) {
    return logProbabilities(tokens, mask, temperature, 1, tokens.size(1) - 1);
  }

  /**
   * Computes the log-probabilities of a range of tokens. Logits are only computed for this range.
   *
   * @param tokens the token ids, [batch, tokens], int64
   * @param mask false at padding, [batch, tokens], bool
   * @param temperature the divisor of the logits
   * @param from the index of the first token of the range, 1 or more
   * @param count the number of tokens of the range
   * @return the log-probabilities in nats, [batch, count]
   */
  public Tensor logProbabilities(
      Tensor tokens, Tensor mask, double temperature, long from, long count) {
    return Scopes.keep(
        () -> {
          Call call = begin(tokens, mask, Optional.empty(), Optional.empty());
          return chosen(call, hidden(call, embedded(tokens)), tokens, temperature, from, count);
        });
  }

  /**
   * Computes the entropies of the distributions of a range of tokens.
   *
   * @param tokens the token ids, [batch, tokens], int64
   * @param mask false at padding, [batch, tokens], bool
   * @param temperature the divisor of the logits
   * @param from the index of the first token of the range, 1 or more
   * @param count the number of tokens of the range
   * @return the entropies in nats, [batch, count]
   */
  public Tensor entropies(Tensor tokens, Tensor mask, double temperature, long from, long count) {
    return Scopes.keep(
        () -> {
          Call call = begin(tokens, mask, Optional.empty(), Optional.empty());
          Tensor states = hidden(call, embedded(tokens));
          return measures(
                  call,
                  states,
                  tokens,
                  temperature,
                  from,
                  count,
                  TokenMeasures.Entropies.DIFFERENTIATED)
              .entropies()
              .orElseThrow();
        });
  }

  /** Computes the log-probabilities of tokens from the hidden states before them. */
  private Tensor chosen(
      Call call, Tensor states, Tensor tokens, double temperature, long from, long count) {
    return measures(call, states, tokens, temperature, from, count, TokenMeasures.Entropies.NONE)
        .logProbabilities();
  }

  /** Computes log-probabilities of tokens from the hidden states before them, and entropies. */
  TokenMeasures measures(
      Call call,
      Tensor states,
      Tensor tokens,
      double temperature,
      long from,
      long count,
      TokenMeasures.Entropies entropies) {
    long wanted = states.size(0) * count;
    if (!GradMode.is_enabled() && config.vocabulary() > VocabularyBlocks.COLUMNS) {
      TokenMeasures found =
          blocks(temperature)
              .measures(
                  states.narrow(1, from - 1, count).reshape(wanted, states.size(2)),
                  tokens.narrow(1, from, count).reshape(wanted),
                  entropies != TokenMeasures.Entropies.NONE);
      return new TokenMeasures(
          found.logProbabilities().view(states.size(0), count),
          found.entropies().map(own -> own.view(states.size(0), count)));
    }
    // The logits are the largest tensors, and none but the last is needed any longer.
    Tensor logarithms =
        Scopes.keep(
            () ->
                head(call, states.narrow(1, from - 1, count))
                    .to(storage.exact())
                    .div(new Scalar(temperature))
                    .log_softmax(-1));
    Tensor chosen = logarithms.gather(-1, tokens.narrow(1, from, count).unsqueeze(-1)).squeeze(-1);
    return new TokenMeasures(
        chosen,
        switch (entropies) {
          case NONE -> Optional.empty();
          case MEASURED -> Optional.of(entropies(logarithms));
          case DIFFERENTIATED -> Optional.of(logarithms.exp().mul(logarithms).sum(-1).neg());
        });
  }

  /** Computes entropies without a gradient, of a few texts at a time: products are large. */
  private static Tensor entropies(Tensor logarithms) {
    return Scopes.keepWithoutGradient(
        () -> {
          long texts = logarithms.size(0);
          long each = Math.max(1, LARGEST_PIECE * texts / Math.max(1, logarithms.numel()));
          List<Tensor> pieces = new ArrayList<>();
          for (long at = 0; at < texts; at += each) {
            Tensor own = logarithms.narrow(0, at, Math.min(each, texts - at));
            pieces.add(Scopes.keep(() -> own.exp().mul_(own).sum(-1).neg()));
          }
          return torch.cat(Tensors.vector(pieces.toArray(new Tensor[0])), 0);
        });
  }

  Tensor head(Call call, Tensor states) {
    return linear(call, states, headName());
  }

  /** Returns the name of the output matrix. */
  String headName() {
    return config.tiedEmbeddings() ? config.names().embedding() : TensorNames.HEAD;
  }

  /** Returns the head, which computes logits of a block of the vocabulary at a time. */
  VocabularyBlocks blocks(double temperature) {
    return blocks(temperature, VocabularyBlocks.COLUMNS);
  }

  /**
   * Packs the matrices for steps of sampling. There are none in other dtypes than bfloat16, and
   * none on a GPU.
   *
   * @param rows the number of sequences
   */
  PackedMatrices packed(long rows) {
    Map<String, Tensor> own = new LinkedHashMap<>();
    if (fusedType() != storage.type) {
      parameters.forEach(
          (name, parameter) -> {
            boolean isApplied = name.endsWith("proj.weight") || name.equals(headName());
            if (isApplied && parameter.dim() == 2 && !name.contains(".experts.")) {
              own.put(name, parameter);
            }
          });
    }
    return PackedMatrices.of(own, rows);
  }

  /**
   * Returns the head.
   *
   * @param columns the entries of the vocabulary in a block
   */
  VocabularyBlocks blocks(double temperature, long columns) {
    String head = headName();
    return new VocabularyBlocks(
        parameters.get(head),
        Optional.ofNullable(factors.get(head)),
        temperature,
        storage.exact(),
        columns);
  }

  /** Computes log-probabilities and entropies of the completions of a packed row. */
  private TokenMeasures measures(Packed row, double temperature, boolean entropies) {
    Call call = begin(row);
    Tensor states = hidden(call, embedded(row.tokens()));
    TokenMeasures found =
        blocks(temperature)
            .measures(states.squeeze(0).index_select(0, row.before()), row.targets(), entropies);
    return new TokenMeasures(
        row.arranged(found.logProbabilities()), found.entropies().map(row::arranged));
  }

  /**
   * Computes the log-probabilities of the completions of a packed row, without a gradient.
   *
   * @param row the texts
   * @param temperature the divisor of the logits
   * @return the log-probabilities in nats, [completions, longest], zero at padding
   */
  public Tensor logProbabilities(Packed row, double temperature) {
    return Scopes.keepWithoutGradient(() -> measures(row, temperature, false).logProbabilities());
  }

  /**
   * Computes the entropies at the tokens of the completions of a packed row, without a gradient.
   *
   * @param row the texts
   * @param temperature the divisor of the logits
   * @return the entropies in nats, [completions, longest], zero at padding
   */
  public Tensor entropies(Packed row, double temperature) {
    return Scopes.keepWithoutGradient(
        () -> measures(row, temperature, true).entropies().orElseThrow());
  }

  /** Inputs that all layers of a forward pass share. */
  record Call(
      long batch,
      long tokens,
      Map<Rotary, Rotation> rotations,
      Map<Integer, Tensor> masks,
      Optional<Packing> packing,
      Optional<KeyValueCache> cache,
      Optional<Tap> tap,
      Optional<PackedAttention> packed,
      boolean isFused) {
    /**
     * Returns the same call with the fused kernel of attention, which has no second derivative. It
     * computes no attention to sinks.
     */
    Call fused() {
      return new Call(batch, tokens, rotations, masks, packing, cache, tap, packed, true);
    }
  }

  /** The cosines and sines of the angles of each token, [batch, tokens, 1, head dimension]. */
  private record Rotation(Tensor cosines, Tensor sines) {}

  /** Computes the inputs that all layers share. */
  Call begin(Tensor tokens, Tensor mask, Optional<KeyValueCache> cache, Optional<Tap> tap) {
    long count = tokens.size(1);
    long before = cache.map(KeyValueCache::length).orElse(0);
    Tensor known = cache.map(own -> own.append(mask)).orElse(mask);
    Tensor positions =
        known.cumsum(1).sub(new Scalar(1)).clamp_min(new Scalar(0)).narrow(1, before, count);
    Map<Integer, Tensor> masks = new HashMap<>();
    Map<Rotary, Rotation> rotations = new HashMap<>();
    for (Mixer.Attention layer : attentions()) {
      masks.computeIfAbsent(
          layer.window(), own -> attentionMask(known, before, count, own).to(storage.type));
      rotations.computeIfAbsent(
          layer.rotary(), own -> rotation(positions, frequencies(own, known), own.scale()));
    }
    Optional<Packing> packing =
        config.layers().stream()
            .filter(layer -> layer.mixer() instanceof Mixer.DeltaRule)
            .findFirst()
            .map(layer -> Packing.of(mask, cache.isPresent(), before, storage.type));
    return new Call(
        tokens.size(0),
        count,
        rotations,
        masks,
        packing,
        cache,
        tap,
        Optional.empty(),
        cache.isPresent() || !GradMode.is_enabled());
  }

  /**
   * {@return whether texts can be packed} They cannot with sinks, whose attention is not fused, nor
   * where the rotation of a prompt depends on the length of its completion, nor with gated delta
   * rules, whose memory would go from one text to the next.
   */
  public boolean isPackable() {
    return !config.attention().sinks()
        && config.layers().stream().allMatch(layer -> layer.mixer() instanceof Mixer.Attention)
        && attentions().stream().noneMatch(own -> own.rotary().dependsOnLength());
  }

  /** Computes the inputs that all layers share, of a packed row. */
  Call begin(Packed row) {
    PackedAttention packed = new PackedAttention(row.texts(), fusedType());
    Map<Rotary, Rotation> rotations = new HashMap<>();
    for (Mixer.Attention layer : attentions()) {
      packed.prepare(layer.window());
      rotations.computeIfAbsent(
          layer.rotary(), own -> rotation(row.positions(), frequencies.get(own), own.scale()));
    }
    return new Call(
        1,
        row.width(),
        rotations,
        Map.of(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.of(packed),
        true);
  }

  private Rotation rotation(Tensor positions, Tensor own, double factor) {
    Tensor angles = positions.unsqueeze(-1).mul(own);
    Tensor both = torch.cat(Tensors.vector(angles, angles), -1).unsqueeze(2);
    Scalar scale = new Scalar(factor);
    return new Rotation(
        both.cos().mul(scale).to(storage.type), both.sin().mul(scale).to(storage.type));
  }

  Tensor embedded(Tensor tokens) {
    return scaled(torch.embedding(parameters.get(config.names().embedding()), tokens));
  }

  /** Multiplies rows of the embedding, or their gradients, by the factor of the family. */
  Tensor scaled(Tensor rows) {
    if (config.embeddingScale() == 1) {
      return rows;
    }
    // transformers rounds the factor to the dtype of the model: 55.5 for √3072 in bf16.
    Tensor factor =
        torch.full(
            new long[0], new Scalar(config.embeddingScale()), new TensorOptions(storage.type));
    return rows.mul(ModelDevice.placed(factor));
  }

  /** Applies all layers. */
  Tensor hidden(Call call, Tensor embedded) {
    Tensor states = embedded;
    for (int layer = 0; layer < config.layers().size(); layer++) {
      states = layer(call, layer, states);
    }
    call.cache().ifPresent(own -> own.advance((int) call.tokens()));
    return last(states);
  }

  /** Applies one layer. */
  Tensor layer(Call call, int layer, Tensor before) {
    boolean both = config.normalizesOutputs();
    String afterAttention = "post_attention_layernorm";
    Tensor attended = mixed(call, layer, norm(before, layer, "input_layernorm"));
    Tensor states = before.add(both ? norm(attended, layer, afterAttention) : attended);
    Tensor input = norm(states, layer, both ? "pre_feedforward_layernorm" : afterAttention);
    Tensor output = feedForward(call, layer, input);
    return states.add(both ? norm(output, layer, "post_feedforward_layernorm") : output);
  }

  private Tensor mixed(Call call, int layer, Tensor states) {
    Mixer mixer = config.layers().get(layer).mixer();
    if (mixer instanceof Mixer.Attention own) {
      return attention(call, layer, own, states);
    }
    String prefix = config.names().layer(layer, Mixer.DeltaRule.PREFIX);
    GatedDeltaNet net =
        new GatedDeltaNet(
            (Mixer.DeltaRule) mixer,
            new GatedDeltaNet.Own(parameters, (weight, rows) -> linear(call, rows, weight), prefix),
            config.norm().epsilon(),
            storage.exact());
    Packing packing = call.packing().orElseThrow();
    Optional<DeltaState> state = call.cache().map(own -> own.state(layer));
    // A tap keeps inputs and outputs. Otherwise there are many tensors to free.
    return call.tap().isPresent()
        ? net.apply(states, packing, state)
        : Scopes.keep(() -> net.apply(states, packing, state));
  }

  /** Applies the final norm. */
  Tensor last(Tensor states) {
    return config.norm().apply(states, parameters.get(config.names().norm()), storage.exact());
  }

  /** Returns the additive attention mask, [batch, 1, 1, new tokens, all tokens]. */
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
    Tensor weight = parameters.get(config.names().layer(layer, name + ".weight"));
    return config.norm().apply(states, weight, storage.exact());
  }

  private Tensor linear(Call call, Tensor input, int layer, String name) {
    return linear(call, input, config.names().layer(layer, name + ".weight"));
  }

  private Tensor linear(Call call, Tensor input, String weight) {
    Tensor output =
        call.cache()
            .flatMap(KeyValueCache::matrices)
            .map(packed -> linear.apply(weight, input, packed))
            .orElseGet(() -> linear.apply(weight, input));
    call.tap().ifPresent(shown -> shown.on(weight, input, output));
    return output;
  }

  private Tensor attention(Call call, int layer, Mixer.Attention own, Tensor states) {
    Tensor asked = linear(call, states, layer, "self_attn.q_proj");
    long width = config.attention().headDimension();
    long groups = config.attention().keyValueHeads();
    long each = config.attention().heads() / groups;
    Tensor rotated =
        rotated(
            call.rotations().get(own.rotary()),
            torch.cat(
                Tensors.vector(
                    heads(call, layer, queries(call, asked), "q", config.attention().heads()),
                    heads(
                        call, layer, linear(call, states, layer, "self_attn.k_proj"), "k", groups)),
                2));
    Tensor queries = rotated.narrow(2, 0, config.attention().heads());
    Tensor ownKeys = rotated.narrow(2, config.attention().heads(), groups).transpose(1, 2);
    Tensor ownValues =
        linear(call, states, layer, "self_attn.v_proj")
            .view(call.batch(), call.tokens(), groups, width)
            .transpose(1, 2);
    Tensor keys = call.cache().map(cache -> cache.appendKeys(layer, ownKeys)).orElse(ownKeys);
    Tensor values =
        call.cache().map(cache -> cache.appendValues(layer, ownValues)).orElse(ownValues);
    double scale = config.attention().scale();
    if (call.packed().isPresent()) {
      Tensor mixed =
          call.packed()
              .get()
              .apply(queries.transpose(1, 2), keys, values, own.window(), scale)
              .reshape(1, call.tokens(), config.attention().heads() * width);
      return output(call, layer, mixed, asked);
    }
    long all = keys.size(2);
    Tensor mask = call.masks().get(own.window());
    boolean isStep = call.cache().isPresent() && call.tokens() == 1;
    if (call.isFused() && !config.attention().sinks() && (!isStep || fusedType() == storage.type)) {
      // The fused kernel has no second derivative.
      ScalarType type = fusedType();
      Tensor mixed =
          torch
              .scaled_dot_product_attention(
                  queries.transpose(1, 2).to(type),
                  keys.to(type),
                  values.to(type),
                  new TensorOptional(mask.squeeze(1).to(type)),
                  0.0,
                  false,
                  new DoubleOptional(scale),
                  true)
              .to(storage.type);
      return output(
          call,
          layer,
          mixed
              .transpose(1, 2)
              .reshape(call.batch(), call.tokens(), config.attention().heads() * width),
          asked);
    }
    // Query heads that share keys are stacked into the rows of one matrix product.
    Tensor rows =
        queries
            .reshape(call.batch(), call.tokens(), groups, each, width)
            .permute(0, 2, 3, 1, 4)
            .reshape(call.batch(), groups, each * call.tokens(), width);
    Tensor scores =
        rows.matmul(keys.transpose(2, 3))
            .mul(new Scalar(scale))
            .view(call.batch(), groups, each, call.tokens(), all)
            .add(mask);
    Tensor weights = shares(scores, layer).view(call.batch(), groups, each * call.tokens(), all);
    Tensor mixed =
        weights
            .matmul(values)
            .view(call.batch(), groups, each, call.tokens(), width)
            .permute(0, 3, 1, 2, 4)
            .reshape(call.batch(), call.tokens(), config.attention().heads() * width);
    return output(call, layer, mixed, asked);
  }

  /** Returns the queries of a projection that may also have gates. */
  private Tensor queries(Call call, Tensor asked) {
    return config.attention().gated() ? halves(call, asked, 0) : asked;
  }

  /** Applies the gates, if there are any, and the output projection. */
  private Tensor output(Call call, int layer, Tensor mixed, Tensor asked) {
    Tensor gated = config.attention().gated() ? mixed.mul(halves(call, asked, 1).sigmoid()) : mixed;
    return linear(call, gated, layer, "self_attn.o_proj");
  }

  /** Returns the first or the second half of each head. */
  private Tensor halves(Call call, Tensor asked, int which) {
    long width = config.attention().headDimension();
    return asked
        .view(call.batch(), call.tokens(), config.attention().heads(), 2 * width)
        .narrow(3, which * width, width)
        .reshape(call.batch(), call.tokens(), config.attention().heads() * width);
  }

  /**
   * Returns the dtype in which the fused kernel computes. On a CPU, its matrix products in bfloat16
   * are plain loops in this build of libtorch, and were slower than those in float32 by more than
   * an order of magnitude. Single queries would need all keys in float32, so they are not fused.
   */
  private ScalarType fusedType() {
    return storage == Storage.BF16 && parameters.get(config.names().embedding()).is_cpu()
        ? ScalarType.Float
        : storage.type;
  }

  /**
   * Returns the attention to each token. A sink takes its share of the attention, and has no value.
   */
  private Tensor shares(Tensor scores, int layer) {
    if (!config.attention().sinks()) {
      return scores.softmax(-1);
    }
    long tokens = scores.size(4);
    Tensor sinks =
        parameters
            .get(config.names().layer(layer, DecoderConfig.SINKS))
            .view(1, scores.size(1), scores.size(2), 1, 1)
            .expand(scores.size(0), scores.size(1), scores.size(2), scores.size(3), 1);
    return torch
        .cat(Tensors.vector(scores, sinks), -1)
        .softmax(-1)
        .narrow(-1, 0, tokens)
        .contiguous();
  }

  /** Returns the heads of queries or keys, [batch, tokens, heads, head dimension]. */
  private Tensor heads(Call call, int layer, Tensor projected, String name, long count) {
    Tensor heads =
        projected.view(call.batch(), call.tokens(), count, config.attention().headDimension());
    return config.attention().queryNorm()
        ? norm(heads, layer, "self_attn." + name + "_norm")
        : heads;
  }

  /** Applies the rotary position embeddings to the first dimensions of heads. */
  private Tensor rotated(Rotation rotation, Tensor all) {
    long width = config.attention().headDimension();
    long turning = config.attention().rotated();
    Tensor heads = turning == width ? all : all.narrow(-1, 0, turning);
    long half = turning / 2;
    Tensor turned =
        torch.cat(
            Tensors.vector(heads.narrow(-1, half, half).neg(), heads.narrow(-1, 0, half)), -1);
    Tensor rotated = heads.mul(rotation.cosines()).addcmul(turned, rotation.sines());
    return turning == width
        ? rotated
        : torch.cat(Tensors.vector(rotated, all.narrow(-1, turning, width - turning)), -1);
  }

  private Tensor feedForward(Call call, int layer, Tensor states) {
    FeedForward network = config.layers().get(layer).feedForward();
    if (network instanceof FeedForward.Experts experts) {
      String router = DecoderConfig.MLP + experts.layout().router();
      long hidden = states.size(-1);
      Tensor chosen =
          new ExpertNetwork(experts, linear, config.names().layer(layer, DecoderConfig.EXPERTS))
              .apply(
                  states.reshape(-1, hidden),
                  linear(call, states, layer, router).reshape(-1, experts.count()))
              .view(call.batch(), call.tokens(), hidden);
      return experts.shared() == 0
          ? chosen
          : chosen.add(shared(call, layer, experts.gating(), states));
    }
    return dense(call, layer, DecoderConfig.MLP, network.gating(), states);
  }

  /** Applies the expert that all tokens share, and its gate. */
  private Tensor shared(Call call, int layer, FeedForward.Gating gating, Tensor states) {
    Tensor gate = linear(call, states, layer, DecoderConfig.MLP + FeedForward.SHARED_GATE);
    return dense(call, layer, DecoderConfig.MLP + FeedForward.SHARED, gating, states)
        .mul(gate.sigmoid());
  }

  private Tensor dense(
      Call call, int layer, String prefix, FeedForward.Gating gating, Tensor states) {
    Tensor gate = linear(call, states, layer, prefix + "gate_proj");
    Tensor up = linear(call, states, layer, prefix + "up_proj");
    return linear(call, gating.apply(gate, up), layer, prefix + "down_proj");
  }

  @Override
  public void close() {
    List<Tensor> all = new ArrayList<>(parameters.values());
    all.addAll(frequencies.values());
    factors.values().forEach(own -> all.addAll(List.of(own.a(), own.b())));
    all.forEach(Tensor::close);
  }
}
