package org.threegate.rl.adapter;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.LowRankFactors;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorFiles;
import org.threegate.rl.policy.TensorMemory;
import org.threegate.rl.policy.Tensors;
import org.threegate.run.InvalidInputException;

/**
 * Low-rank factors that are trained in place of a decoder's weights. Attaching them does not change
 * the function of the model: the initial product is subtracted from the weights.
 *
 * <pre>{@code
 * try (LowRankAdapter adapter =
 *     LowRankAdapter.attach(context, decoder, AdapterOptions.of(8, Initialisation.PISSA), 1)) {
 *   adapter.write(Path.of("adapter"), "base");
 * }
 * }</pre>
 */
public final class LowRankAdapter implements AutoCloseable {
  private static final double TOLERANCE = 1e-6; // of certified singular triplets
  private static final double PRINCIPAL_SHARE = 0.1; // of the shorter side, leading triplets
  private static final double ALPHA = 0.5; // share of entries in the masks
  private static final String WEIGHT = ".weight";

  private final Decoder model;
  private final AdapterOptions options;
  // The initial products, so that a saved adapter applies to the original model.
  private final Map<String, LowRankFactors> beginnings = new LinkedHashMap<>();

  private LowRankAdapter(Decoder model, AdapterOptions options) {
    this.model = model;
    this.options = options;
  }

  /**
   * Adds factors to a decoder. The decoder closes them.
   *
   * @param context the context of the kernels
   * @param model the decoder
   * @param options the hyperparameters
   * @param seed the seed of random factors
   * @return the adapter
   * @throws IllegalArgumentException when no layer matches the targets
   */
  public static LowRankAdapter attach(
      Context context, Decoder model, AdapterOptions options, long seed) {
    LowRankAdapter adapter = new LowRankAdapter(model, options);
    try {
      int before = model.factors().size();
      for (String name : model.parameters().keySet()) {
        if (options.targets().stream().anyMatch(target -> name.endsWith("." + target + WEIGHT))) {
          Scopes.run(() -> adapter.attach(context, name, seed));
        }
      }
      if (model.factors().size() == before) {
        throw new IllegalArgumentException(
            "no linear layer matches the targets " + options.targets());
      }
      return adapter;
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  private void attach(Context context, String name, long seed) {
    Tensor parameter = model.parameters().get(name);
    Tensor weight = parameter.detach().to(ScalarType.Float).contiguous();
    int rank = (int) Math.min(options.rank(), Math.min(weight.size(0), weight.size(1)));
    // A matrix whose shorter side is below the rank keeps the scale of the others.
    double scale = options.scale();
    List<Tensor> ba =
        switch (options.initialisation()) {
          case LORA -> drawn(weight, rank, seed + name.hashCode());
          case PISSA -> largest(context, weight, rank, scale);
          case MILORA -> smallest(weight, rank, scale);
          case OLORA -> orthogonal(weight, rank);
          case GEORA -> largest(context, restricted(context, weight), rank, scale);
        };
    Tensor b = ba.get(0);
    Tensor a = ba.get(1);
    if (options.initialisation().movesWeight()) {
      Tensor left = weight.sub(b.matmul(a).mul(new Scalar(scale)));
      parameter.detach().copy_(left);
      beginnings.put(name, kept(a, b, scale));
    }
    LowRankFactors factors = kept(a, b, scale);
    factors.a().requires_grad_(true);
    factors.b().requires_grad_(true);
    model.add(name, factors);
  }

  /** Returns copies that no scope frees. */
  private static LowRankFactors kept(Tensor a, Tensor b, double scale) {
    Tensor ownA = a.to(ScalarType.Float).clone().contiguous();
    Tensor ownB = b.to(ScalarType.Float).clone().contiguous();
    ownA.retainReference();
    ownB.retainReference();
    return new LowRankFactors(ownA, ownB, scale);
  }

  private static List<Tensor> drawn(Tensor weight, int rank, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long inputs = weight.size(1);
    double bound = 1 / Math.sqrt(inputs);
    float[] values = new float[Math.toIntExact(rank * inputs)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (bound * (2 * random.nextDouble() - 1));
    }
    Tensor b = Tensors.of(new float[Math.toIntExact(rank * weight.size(0))], weight.size(0), rank);
    return List.of(b, Tensors.of(values, rank, inputs));
  }

  /** Computes √(σ / scale) u and √(σ / scale) v of the leading triplets with the kernels. */
  private static List<Tensor> largest(Context context, Tensor weight, int rank, double scale) {
    try (TensorMemory memory = TensorMemory.of(context, weight);
        TruncatedSvd.Result triplets =
            TruncatedSvd.of(context, TruncatedSvd.Request.of(memory.operand(), rank, TOLERANCE))) {
      Tensor left = TensorFiles.copyOf(triplets.left().orElseThrow());
      Tensor right = TensorFiles.copyOf(triplets.right().orElseThrow());
      return balanced(left.t(), triplets.values(), right, scale);
    }
  }

  private static List<Tensor> balanced(Tensor u, double[] values, Tensor v, double scale) {
    float[] roots = new float[values.length];
    for (int i = 0; i < roots.length; i++) {
      roots[i] = (float) Math.sqrt(values[i] / scale);
    }
    Tensor each = Tensors.of(roots, roots.length);
    return List.of(u.mul(each), v.mul(each.unsqueeze(1)));
  }

  private static List<Tensor> smallest(Tensor weight, int rank, double scale) {
    var svd = torch.linalg_svd(weight.to(ScalarType.Double), false, null);
    long all = svd.get1().size(0);
    double[] values = new double[rank];
    float[] narrow = Tensors.floats(svd.get1().narrow(0, all - rank, rank));
    for (int i = 0; i < rank; i++) {
      values[i] = narrow[i];
    }
    return balanced(
        svd.get0().narrow(1, all - rank, rank),
        values,
        svd.get2().narrow(0, all - rank, rank),
        scale);
  }

  private static List<Tensor> orthogonal(Tensor weight, int rank) {
    var qr = torch.linalg_qr(weight.to(ScalarType.Double));
    return List.of(qr.get0().narrow(1, 0, rank), qr.get1().narrow(0, 0, rank));
  }

  /** Zeroes the entries that are large in the principal part, unless they are small themselves. */
  private static Tensor restricted(Context context, Tensor weight) {
    long shorter = Math.min(weight.size(0), weight.size(1));
    long principalRank = Math.max(1, Math.round(PRINCIPAL_SHARE * shorter));
    long count = Math.round(ALPHA * weight.numel());
    try (TensorMemory memory = TensorMemory.of(context, weight);
        Control control = Control.open(context);
        TruncatedSvd.Result triplets =
            TruncatedSvd.of(
                context, TruncatedSvd.Request.of(memory.operand(), principalRank, TOLERANCE))) {
      Mask principal = MaskSelection.principal(context, triplets, count, control);
      Mask low = MaskSelection.smallest(context, memory.operand(), count, control);
      Mask left = MaskSets.combine(context, MaskSets.Operation.DIFFERENCE, principal, low);
      return weight.masked_fill(Tensors.of(left), new Scalar(0.0));
    }
  }

  /**
   * Writes {@code adapter_model.safetensors} and {@code adapter_config.json} in PEFT's format. The
   * files apply to the original model. Where the initial product was subtracted from the weights,
   * the file has factors of the difference, with twice the rank.
   *
   * @param directory the directory, which is created or already has an adapter
   * @param base the name or path of the original model, for {@code base_model_name_or_path}
   * @throws IOException when the files cannot be written
   */
  public void write(Path directory, String base) throws IOException {
    AtomicFiles.updateDirectory(directory, Checkpoint.ADAPTER_CONFIG, to -> fill(to, base));
  }

  @SuppressWarnings("try")
  private void fill(Path directory, String base) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    int times = options.initialisation().movesWeight() ? 2 : 1;
    // Of matrices whose shorter side is below the rank.
    ObjectNode ranks = new ObjectMapper().createObjectNode();
    ObjectNode alphas = new ObjectMapper().createObjectNode();
    try (PointerScope scope = new PointerScope()) {
      for (Map.Entry<String, LowRankFactors> entry : model.factors().entrySet()) {
        String module = entry.getKey().substring(0, entry.getKey().length() - WEIGHT.length());
        LowRankFactors factors = difference(entry.getKey(), entry.getValue());
        if (factors.rank() != (long) times * options.rank()) {
          double root = options.rankStabilised() ? Math.sqrt(factors.rank()) : factors.rank();
          ranks.put(module, factors.rank());
          alphas.put(module, factors.scale() * root);
        }
        String name = "base_model.model." + module;
        TensorFiles.put(writer, name + ".lora_A.weight", TensorType.F32, factors.a());
        TensorFiles.put(writer, name + ".lora_B.weight", TensorType.F32, factors.b());
      }
      writer.write(directory.resolve(Checkpoint.ADAPTER_WEIGHTS));
    }
    double alpha =
        options.rankStabilised() ? options.alpha() * Math.sqrt(times) : options.alpha() * times;
    ObjectNode config = new ObjectMapper().createObjectNode();
    config
        .put("peft_type", "LORA")
        .put("task_type", "CAUSAL_LM")
        .put("base_model_name_or_path", base)
        .put("r", times * options.rank())
        .put("lora_alpha", alpha)
        .put("use_rslora", options.rankStabilised())
        .put("lora_dropout", 0.0)
        .put("bias", "none")
        .put("fan_in_fan_out", false)
        .put("init_lora_weights", true)
        .put("inference_mode", true);
    config.set("rank_pattern", ranks);
    config.set("alpha_pattern", alphas);
    options.targets().forEach(config.putArray("target_modules")::add);
    Files.writeString(directory.resolve(Checkpoint.ADAPTER_CONFIG), config.toPrettyString());
  }

  /** Writes B A - B0 A0 as one product. */
  private LowRankFactors difference(String name, LowRankFactors now) {
    LowRankFactors before = beginnings.get(name);
    if (before == null) {
      return now;
    }
    return new LowRankFactors(
        torch.cat(new TensorVector(now.a().detach(), before.a()), 0),
        torch.cat(new TensorVector(now.b().detach(), before.b().neg()), 1),
        now.scale());
  }

  /**
   * Loads an adapter in PEFT's format, and adds its factors to a decoder, which closes them.
   *
   * @param context the context of the kernels
   * @param model the decoder
   * @param directory the directory of the adapter
   * @throws InvalidInputException when the files are invalid, or belong to another model
   */
  public static void read(Context context, Decoder model, Path directory) {
    try (Adapter stored = Adapter.open(context, directory)) {
      stored.beyondUpdates().stream()
          .findFirst()
          .ifPresent(
              name -> {
                throw new InvalidInputException(
                    directory
                        + ": tensor \""
                        + name
                        + "\" is no factor of a linear layer, and the decoder reads only such factors;"
                        + " merge the adapter into the model first");
              });
      stored
          .updates()
          .forEach((weight, terms) -> Scopes.run(() -> add(model, directory, weight, terms)));
    }
  }

  private static void add(
      Decoder model, Path directory, String weight, List<Operand.LowRank> terms) {
    String where = directory + ": the factors of \"" + weight + '"';
    double scale = terms.get(0).scale();
    List<Tensor> as = new ArrayList<>();
    List<Tensor> bs = new ArrayList<>();
    for (Operand.LowRank term : terms) {
      if (term.left().dtype().bytes() == 1 || term.right().dtype().bytes() == 1) {
        throw new InvalidInputException(where + " are FP8; they must be BF16, F16, F32 or F64");
      }
      as.add(TensorFiles.copyOf(term.right()).to(ScalarType.Float));
      bs.add(
          TensorFiles.copyOf(term.left())
              .to(ScalarType.Float)
              .mul(new Scalar(term.scale() / scale)));
    }
    Tensor a = torch.cat(new TensorVector(as.toArray(new Tensor[0])), 0);
    Tensor b = torch.cat(new TensorVector(bs.toArray(new Tensor[0])), 1);
    if (!Tensors.areFinite(a) || !Tensors.areFinite(b)) {
      throw new InvalidInputException(where + " have entries that are not finite");
    }
    LowRankFactors factors = kept(a, b, scale);
    try {
      model.add(model.config().names().stored(weight), factors);
    } catch (IllegalArgumentException e) {
      factors.a().close();
      factors.b().close();
      throw new InvalidInputException(directory + ": " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    for (LowRankFactors factors : beginnings.values()) {
      factors.a().close();
      factors.b().close();
    }
  }
}
