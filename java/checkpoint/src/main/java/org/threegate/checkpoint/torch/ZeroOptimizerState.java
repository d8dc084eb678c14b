package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Instance;
import org.threegate.checkpoint.torch.PickleValue.Plain;
import org.threegate.checkpoint.torch.PickleValue.Sequence;
import org.threegate.checkpoint.torch.PickleValue.Strided;
import org.threegate.checkpoint.torch.PickleValue.Whole;

/**
 * A file {@code *_optim_states.pt} of DeepSpeed's ZeRO: the masters of the parameters that a
 * process holds, one after the other.
 *
 * @param stage 1, 2 or 3
 * @param partitions number of processes
 * @param groups the masters, as vectors
 * @param others number of other storages, such as those of the optimizer's moments
 */
public record ZeroOptimizerState(
    long stage, long partitions, List<TorchTensor> groups, int others) {
  /** Copies the list. */
  public ZeroOptimizerState {
    groups = List.copyOf(groups);
  }

  /**
   * Reads a file.
   *
   * @param source the file
   * @return its contents
   * @throws org.threegate.run.InvalidInputException if the file violates the format, names anything
   *     but its classes, or holds no masters
   */
  public static ZeroOptimizerState read(ByteSource source) {
    Entries entries = Entries.of(source);
    if (!(entries.value() instanceof Dictionary top)
        || !(top.entries().get("optimizer_state_dict") instanceof Dictionary state)
        || !state.entries().containsKey("zero_stage")) {
      throw source.refusal("is not a file of ZeRO: it has no optimizer_state_dict with zero_stage");
    }
    PickleValue stated = state.entries().get("zero_stage");
    if (stated instanceof Instance stage && !stage.arguments().isEmpty()) {
      stated = stage.arguments().get(0);
    }
    long stage = stated instanceof Whole number ? number.value() : -1;
    if (stage < 1 || stage > 3) {
      throw source.refusal("is of a stage of ZeRO that is not read; 1, 2 and 3 are");
    }
    String key = stage == 3 ? "fp32_flat_groups" : "single_partition_of_fp32_groups";
    if (!(state.entries().get(key) instanceof Sequence groups) || groups.items().isEmpty()) {
      throw source.refusal("holds no masters: it has no " + key);
    }
    List<TorchTensor> masters = new ArrayList<>();
    for (PickleValue group : groups.items()) {
      if (!(group instanceof Strided vector)
          || vector.shape().size() != 1
          || !vector.isContiguous()) {
        throw source.damaged("has masters that are no vector");
      }
      masters.add(entries.place(key + "." + masters.size(), vector, Optional.empty()));
    }
    long storages =
        entries.directory().entries().keySet().stream()
            .filter(name -> name.startsWith(entries.root() + "/data/"))
            .count();
    return new ZeroOptimizerState(
        stage,
        partitions(source, state.entries().getOrDefault("partition_count", Plain.NONE)),
        masters,
        (int) Math.max(0, storages - masters.size()));
  }

  /** Returns the number of processes: the largest one if the groups differ. */
  private static long partitions(ByteSource source, PickleValue stated) {
    List<PickleValue> counts = stated instanceof Sequence all ? all.items() : List.of(stated);
    long most = 0;
    for (PickleValue count : counts) {
      if (!(count instanceof Whole number)) {
        throw source.damaged("has no partition_count");
      }
      most = Math.max(most, number.value());
    }
    return most;
  }
}
