package org.threegate.analysis.engine;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.kernel.Control;
import org.threegate.run.Progress;

/**
 * Machines that measure together what is too much for one, each pair by the code that one machine
 * would use, so that what comes out has the same bits. Checkpoints are named by locations that all
 * of the machines reach.
 */
public interface Cluster extends AutoCloseable {
  /** How a cluster is found: through {@link java.util.ServiceLoader}, if it is there. */
  interface Provider {
    /**
     * @param master which cluster, or empty: the one that this program was submitted to
     * @param settings of the cluster, by name
     */
    Cluster open(String master, Map<String, String> settings);
  }

  /** What a checkpoint consists of. */
  record Contents(long tensors, long parameters, Optional<String> digest) {}

  /** A tensor that could not be measured, and why. */
  record Failure(String tensor, String reason) {}

  /** What measured. */
  record Machines(String device, String binding, int threads, String simd, String blas) {}

  /**
   * Where finished tensors are kept until all are, so that another run can go on.
   *
   * @param options what must be the same for that, beside the files
   */
  record Keeping(Path journal, String options, boolean resume) {}

  /**
   * What a comparison found.
   *
   * @param rest names of what has no partner; no pairs
   * @param failures tensors that are missing in the outcome
   */
  record Compared(
      Comparison.Outcome outcome,
      Pairing rest,
      Contents base,
      Contents tuned,
      Machines machines,
      List<Failure> failures) {}

  /** What several runs have in common. */
  record Agreed(
      List<TensorConsensus> tensors, List<TensorTrajectory> ways, List<Failure> failures) {}

  /**
   * Compares two checkpoints.
   *
   * @param tuned a checkpoint or an adapter
   * @param geometry what to measure of each matrix; empty: nothing
   * @param paired told what will be compared, before it is; may refuse it
   */
  Compared compare(
      String base,
      String tuned,
      Optional<String> initialAdapter,
      Predicate<String> selected,
      boolean digest,
      Optional<GeometryOptions> geometry,
      Consumer<Pairing> paired,
      Keeping keeping,
      Progress progress,
      Control control)
      throws IOException;

  /**
   * Says what several runs from one base have in common.
   *
   * @param steps of the runs, when they are checkpoints of one; else empty
   */
  Agreed consensus(
      String base,
      List<String> runs,
      Predicate<String> selected,
      double[] steps,
      GeometryOptions options,
      Progress progress,
      Control control)
      throws IOException;

  /**
   * Writes masks of all matrices of a checkpoint; all or none.
   *
   * @param provenance by the digest of the checkpoint
   */
  void mask(
      String base,
      Predicate<String> selected,
      MaskKind kind,
      GeometryOptions options,
      Function<String, Map<String, String>> provenance,
      Path file,
      Progress progress,
      Control control)
      throws IOException;

  @Override
  void close();
}
