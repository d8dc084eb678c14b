package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/**
 * A LoRA adapter: PEFT's {@code adapter_model.safetensors} with {@code adapter_config.json}.
 *
 * <p>The update of a weight is computed from its factors: ΔW = s·BA with s = α/r, or s = α/√r for
 * rsLoRA. Rank patterns, alpha patterns and fan_in_fan_out are respected. Merged matrices are never
 * subtracted, because rounding would hide a small update. PiSSA, OLoRA and CorDA change the base
 * weights before training. Their update is s·(BA − B₀A₀), which needs the initial adapter.
 *
 * <pre>{@code
 * try (Adapter adapter = Adapter.open(context, tuned)) {
 *   adapter.updates().forEach((weight, terms) -> System.out.println(weight + ": " + terms.size()));
 * }
 * }</pre>
 */
public final class Adapter implements AutoCloseable {
  private static final Pattern FACTOR =
      Pattern.compile("^(?:base_model\\.model\\.)?(.*)\\.lora_([AB])(?:\\.[^.]+)?\\.weight$");
  private static final Pattern MOVES_BASE = Pattern.compile("(?i)(pissa|olora|corda).*");

  private final Checkpoint weights;
  private final Map<String, List<Operand.LowRank>> updates = new LinkedHashMap<>();
  private final Map<String, Tensor> replaced = new LinkedHashMap<>();
  private final Map<Tensor, String> weightOf = new LinkedHashMap<>();
  private final List<NativeBuffer> transposed = new ArrayList<>();
  private final Context context;
  private final Settings settings;
  private Optional<Adapter> before = Optional.empty();

  private record Settings(
      Path path,
      double rank,
      double alpha,
      boolean rankStabilised,
      boolean transposed,
      ModulePatterns ranks,
      ModulePatterns alphas,
      String initialisation) {
    private static final int HIGHEST = 1 << 20;
    private static final double LEAST_ALPHA = 1e-9;
    private static final double MOST_ALPHA = 1e9;

    static Settings read(Path config, Path path) {
      JsonFields fields = JsonFields.read(config);
      String type = fields.text("peft_type").orElse("LORA");
      if (!type.equals("LORA")) {
        throw new InvalidInputException(
            config + ": peft_type " + type + "; only LORA can be read, merge it first");
      }
      if (fields.flag("use_dora", false)) {
        throw new InvalidInputException(
            config + ": a DoRA adapter, whose update is not a product of factors; merge it first");
      }
      JsonFields ranks = fields.object("rank_pattern");
      ranks.names().forEach(name -> ranks.requiredInteger(name, 1, HIGHEST));
      JsonFields alphas = fields.object("alpha_pattern");
      alphas.names().forEach(name -> alphas.requiredNumber(name, LEAST_ALPHA, MOST_ALPHA));
      return new Settings(
          path,
          fields.requiredInteger("r", 1, HIGHEST),
          fields.requiredNumber("lora_alpha", LEAST_ALPHA, MOST_ALPHA),
          fields.flag("use_rslora", false),
          fields.flag("fan_in_fan_out", false),
          ModulePatterns.of(fields.value("rank_pattern"), config),
          ModulePatterns.of(fields.value("alpha_pattern"), config),
          initialisation(fields));
    }

    /**
     * Returns the name of an initialization, or "" for a boolean, which leaves the base as it is.
     */
    private static String initialisation(JsonFields fields) {
      String name = "init_lora_weights";
      return fields.value(name).isBoolean() ? "" : fields.text(name).orElse("");
    }

    double scale(String module, long rank) {
      double alpha = alphas.of(module).orElse(this.alpha);
      return rankStabilised ? alpha / Math.sqrt(rank) : alpha / rank;
    }

    long rank(String module) {
      return Math.round(ranks.of(module).orElse(rank));
    }
  }

  private Adapter(Context context, Checkpoint weights, Settings settings) {
    this.context = context;
    this.weights = weights;
    this.settings = settings;
  }

  /**
   * Opens an adapter.
   *
   * @param context context that maps the files and holds transposed factors
   * @param path the directory of the adapter, or its weights
   * @return the adapter, which the caller closes
   * @throws InvalidInputException if the adapter is invalid, or needs the one before training
   */
  public static Adapter open(Context context, Path path) {
    return open(context, path, Optional.empty());
  }

  /**
   * Opens an adapter, and subtracts the one before training from it.
   *
   * @param context context that maps the files and holds transposed factors
   * @param path the directory of the adapter, or its weights
   * @param initial the adapter before training, which PiSSA, OLoRA and CorDA need
   * @return the adapter, which the caller closes
   * @throws InvalidInputException if one of the adapters is invalid
   */
  public static Adapter open(Context context, Path path, Path initial) {
    return open(context, path, Optional.of(initial));
  }

  private static Adapter open(Context context, Path path, Optional<Path> initial) {
    Adapter adapter = openOne(context, path);
    try {
      boolean movesBase = MOVES_BASE.matcher(adapter.settings.initialisation()).matches();
      if (movesBase && initial.isEmpty()) {
        throw new InvalidInputException(
            path
                + ": initialised by "
                + adapter.settings.initialisation()
                + ", so its update is s(BA - B0A0)",
            Remedy.NAME_INITIAL_ADAPTER);
      }
      initial.ifPresent(before -> adapter.subtract(context, before));
      return adapter;
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  private static Adapter openOne(Context context, Path path) {
    Path directory = Files.isDirectory(path) ? path : path.toAbsolutePath().getParent();
    Path config = directory.resolve(Checkpoint.ADAPTER_CONFIG);
    Settings settings = Settings.read(config, path);
    Path file = Files.isDirectory(path) ? path.resolve(Checkpoint.ADAPTER_WEIGHTS) : path;
    Adapter adapter = new Adapter(context, Checkpoint.open(context, file), settings);
    try {
      adapter.readFactors();
      return adapter;
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  private void readFactors() {
    Map<String, Tensor> left = new LinkedHashMap<>();
    Map<String, Tensor> right = new LinkedHashMap<>();
    for (Tensor tensor : weights.tensors().values()) {
      Matcher matcher = FACTOR.matcher(tensor.name());
      if (matcher.matches()) {
        (matcher.group(2).equals("A") ? right : left).put(matcher.group(1), tensor);
        weightOf.put(tensor, matcher.group(1) + ".weight");
      } else if (tensor.name().contains("lora_")) {
        throw invalid(
            tensor,
            "is a kind of factor that cannot be read (only lora_A and lora_B can); merge the adapter first");
      } else {
        // Modules that were trained whole (modules_to_save).
        String name =
            tensor
                .name()
                .replaceFirst("^base_model\\.model\\.", "")
                .replace(".modules_to_save.default", "");
        replaced.put(name, tensor);
        weightOf.put(tensor, name);
      }
    }
    for (Map.Entry<String, Tensor> entry : left.entrySet()) {
      Tensor a = right.remove(entry.getKey());
      if (a == null) {
        throw invalid(entry.getValue(), "has no lora_A beside it");
      }
      updates.put(
          entry.getKey() + ".weight", List.of(product(entry.getKey(), entry.getValue(), a, 1)));
    }
    if (!right.isEmpty()) {
      throw invalid(right.values().iterator().next(), "has no lora_B beside it");
    }
    if (updates.isEmpty()) {
      throw new InvalidInputException(settings.path() + ": no lora_A and lora_B in this adapter");
    }
  }

  private Operand.LowRank product(String module, Tensor b, Tensor a, double sign) {
    for (Tensor tensor : List.of(a, b)) {
      if (tensor.shape().size() != 2 || tensor.elements() == 0 || tensor.type().dtype().isEmpty()) {
        throw invalid(tensor, "is not a matrix of floating-point numbers");
      }
    }
    long rank = a.shape().get(0);
    if (!b.shape().get(1).equals(rank) || settings.rank(module) != rank) {
      throw invalid(
          b,
          "is "
              + b.shape()
              + " beside a lora_A of "
              + a.shape()
              + ", but the rank is "
              + settings.rank(module));
    }
    double scale = sign * settings.scale(module, rank);
    return settings.transposed()
        ? new Operand.LowRank(transpose(a.matrix()), transpose(b.matrix()), scale)
        : new Operand.LowRank(b.matrix(), a.matrix(), scale);
  }

  /** Returns a transposed copy of a factor, which is small. */
  private Matrix transpose(Matrix matrix) {
    NativeBuffer copy = context.allocate(matrix.rows() * matrix.columns() * matrix.dtype().bytes());
    transposed.add(copy);
    int bytes = matrix.dtype().bytes();
    for (long i = 0; i < matrix.rows(); i++) {
      byte[] row =
          matrix
              .buffer()
              .getBytes(matrix.offset() + i * matrix.rowStride() * bytes, matrix.columns() * bytes);
      for (int j = 0; j < matrix.columns(); j++) {
        copy.put((j * matrix.rows() + i) * bytes, ByteBuffer.wrap(row, j * bytes, bytes));
      }
    }
    return Matrix.of(copy, matrix.dtype(), matrix.columns(), matrix.rows());
  }

  private void subtract(Context context, Path path) {
    Adapter opened = openOne(context, path);
    before = Optional.of(opened);
    for (Map.Entry<String, List<Operand.LowRank>> entry : updates.entrySet()) {
      List<Operand.LowRank> initial = opened.updates.get(entry.getKey());
      if (initial == null) {
        throw new InvalidInputException(
            path + ": has no factors for " + entry.getKey() + ", which the tuned adapter has");
      }
      Operand.LowRank term = initial.get(0);
      entry.setValue(
          List.of(
              entry.getValue().get(0),
              new Operand.LowRank(term.left(), term.right(), -term.scale())));
    }
  }

  private InvalidInputException invalid(Tensor tensor, String what) {
    return new InvalidInputException(
        settings.path() + ": tensor \"" + tensor.name() + "\" " + what);
  }

  /** {@return the low-rank terms of ΔW, by the name of the weight in the base model} */
  public Map<String, List<Operand.LowRank>> updates() {
    return updates;
  }

  /**
   * {@return the tensors that replace whole tensors of the base, by their names in the base model}
   */
  public Map<String, Tensor> replaced() {
    return replaced;
  }

  /**
   * {@return the name of the weight of the base model that a tensor of the adapter belongs to}
   *
   * @param tensor a tensor of {@link #weights}
   */
  public String weightOf(Tensor tensor) {
    return weightOf.get(tensor);
  }

  /** {@return the tensors of the adapter's file} */
  public Checkpoint weights() {
    return weights;
  }

  /** {@return the rank in the configuration; patterns may set other ranks for some modules} */
  public long rank() {
    return Math.round(settings.rank());
  }

  @Override
  public void close() {
    transposed.forEach(NativeBuffer::close);
    weights.close();
    before.ifPresent(Adapter::close);
  }
}
