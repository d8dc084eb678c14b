package org.threegate.checkpoint.adapter;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.kernel.Context;
import org.threegate.kernel.Operand;
import org.threegate.run.InvalidInputException;

/**
 * An adapter: PEFT's {@code adapter_model.safetensors} with {@code adapter_config.json}.
 *
 * <p>The update of a LoRA weight is computed from its factors: ΔW = s·BA with s = α/r, or s = α/√r
 * for rsLoRA. Merged matrices are never subtracted, because rounding would hide a small update.
 * PiSSA, OLoRA, CorDA and LoRA-GA change the base weights before training. Their update is s·(BA −
 * B₀A₀), which needs the initial adapter. DoRA, AdaLoRA, IA3, LoHa, LoKr, OFT, VeRA and single
 * tokens are computed by PEFT's formulas in float64. Other methods are refused by name.
 *
 * <pre>{@code
 * try (Adapter adapter = Adapter.open(context, tuned)) {
 *   adapter.updates().forEach((weight, terms) -> System.out.println(weight + ": " + terms.size()));
 * }
 * }</pre>
 */
public final class Adapter implements AutoCloseable {
  private final AdapterFile file;

  private Adapter(AdapterFile file) {
    this.file = file;
  }

  /**
   * Opens an adapter.
   *
   * @param context context that maps the files and holds derived factors
   * @param path the directory of the adapter, or its weights
   * @return the adapter, which the caller closes
   * @throws InvalidInputException if the adapter is invalid, or needs the one before training
   */
  public static Adapter open(Context context, Path path) {
    return new Adapter(AdapterFile.open(context, path, List.of()));
  }

  /**
   * Opens an adapter, and subtracts the one before training from it.
   *
   * @param context context that maps the files and holds derived factors
   * @param path the directory of the adapter, or its weights
   * @param initial the adapter before training, which PiSSA, OLoRA, CorDA and LoRA-GA need
   * @return the adapter, which the caller closes
   * @throws InvalidInputException if one of the adapters is invalid
   */
  public static Adapter open(Context context, Path path, Path initial) {
    return new Adapter(AdapterFile.open(context, path, List.of(initial)));
  }

  /**
   * {@return the weights that the adapter makes of a base}
   *
   * @param base weights of the base under the names that the adapter uses
   * @param config configuration of the base
   * @throws InvalidInputException if a tensor of the adapter is invalid
   */
  public AdaptedWeights applyTo(Map<String, Weight> base, ModelConfig config) {
    return new Application(file, base, config).apply();
  }

  /** {@return the names of the weights that the adapter changes, as the model has them} */
  public Set<String> names() {
    return file.names();
  }

  /**
   * {@return the products of linear layers whose sum is ΔW, by the name of the weight} Their rows
   * are outputs and their columns are inputs.
   */
  public Map<String, List<Operand.LowRank>> updates() {
    return Collections.unmodifiableMap(file.updates());
  }

  /** {@return the names of the tensors that are not factors of {@link #updates}} */
  public List<String> beyondUpdates() {
    return file.beyondUpdates();
  }

  /**
   * {@return the tensors that replace whole tensors of the base, by their names in the base model}
   */
  public Map<String, Tensor> replaced() {
    return Collections.unmodifiableMap(file.replaced());
  }

  /** {@return the tensors of the adapter's file} */
  public Checkpoint weights() {
    return file.weights();
  }

  /** {@return the rank in the configuration; patterns may set other ranks for some modules} */
  public long rank() {
    return Math.round(file.settings().scaling().rank());
  }

  @Override
  public void close() {
    file.close();
  }
}
