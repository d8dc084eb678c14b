package org.threegate.analysis.engine;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.consensus.Trajectory;
import org.threegate.analysis.journal.Fingerprint;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.mask.MaskBase;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.mask.MaskWriter;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.SharedMatrices;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Identity;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.MemoryBudget;
import org.threegate.run.Progress;

/**
 * Measures on this machine. Locations are paths.
 *
 * <pre>{@code
 * CompareRequest request =
 *     CompareRequest.builder(
 *             "base", "tuned", new Resumption(Path.of("journal"), "example 1.0", "all", false))
 *         .withoutGeometry()
 *         .build();
 * try (Engine engine = new LocalEngine(context)) {
 *   CompareOutcome compared = engine.compare(request, Progress.NONE, control);
 *   System.out.println(compared.measured().tensors().size() + " tensors");
 * }
 * }</pre>
 */
public final class LocalEngine implements Engine {
  private final Context context;
  private final MemoryBudget memory;

  /**
   * Creates an engine that uses at most about half of the machine's memory for geometries.
   *
   * @param context context that runs the kernels; the caller closes it
   */
  public LocalEngine(Context context) {
    this(context, MemoryBudget.ofMachine());
  }

  /**
   * Creates an engine.
   *
   * @param context context that runs the kernels; the caller closes it
   * @param memory bounds how many geometries are measured at the same time
   */
  public LocalEngine(Context context, MemoryBudget memory) {
    this.context = context;
    this.memory = memory;
  }

  @Override
  public String named(String location) {
    return Path.of(location).toString();
  }

  @Override
  public CompareOutcome compare(CompareRequest request, Progress progress, Control control)
      throws IOException {
    Path location = Path.of(request.tuned());
    try (Checkpoint base = Checkpoint.open(context, Path.of(request.base()))) {
      if (Checkpoint.isAdapter(location)) {
        try (Adapter adapter =
            request
                .initialAdapter()
                .map(initial -> Adapter.open(context, location, Path.of(initial)))
                .orElseGet(() -> Adapter.open(context, location))) {
          Pairing pairing = Pairing.of(base, adapter, request.selected());
          return compare(request, base, adapter.weights(), pairing, progress, control);
        }
      }
      request.refuseInitialAdapter();
      try (Checkpoint tuned = Checkpoint.open(context, location)) {
        Pairing pairing = Pairing.of(base, tuned, request.selected(), request.renames());
        return compare(request, base, tuned, pairing, progress, control);
      }
    }
  }

  private CompareOutcome compare(
      CompareRequest request,
      Checkpoint base,
      Checkpoint tuned,
      Pairing pairing,
      Progress progress,
      Control control)
      throws IOException {
    request.check().accept(pairing);
    Comparison comparison =
        new Comparison(
            context,
            control,
            base,
            tuned,
            new Comparison.Wanted(request.digest(), request.geometry(), memory));
    Resumption resumption = request.resumption();
    String fingerprint =
        Fingerprint.of(
            resumption.program(),
            List.of(base, tuned),
            resumption.selection(),
            request.initialAdapter().orElse(""),
            request.digest(),
            request.geometry());
    Journal<Comparison.Finished> journal =
        Journal.open(
            resumption.journal(), Comparison.Finished.class, fingerprint, resumption.resume());
    Comparison.Outcome measured = journal.during(() -> comparison.run(pairing, journal, progress));
    return new CompareOutcome(
        measured,
        pairing.withoutPairs(),
        contents(request.base(), base, measured.baseIdentity()),
        contents(request.tuned(), tuned, measured.tunedIdentity()),
        machine(),
        List.of());
  }

  private CompareOutcome.Contents contents(
      String location, Checkpoint checkpoint, Identity identity) {
    return new CompareOutcome.Contents(
        named(location), checkpoint.tensors().size(), checkpoint.parameters(), identity);
  }

  private CompareOutcome.Machines machine() {
    Capabilities machine = Capabilities.query();
    return new CompareOutcome.Machines(
        context.device().name().toLowerCase(Locale.ROOT),
        context.bindingName(),
        context.threads(),
        machine.simd(),
        machine.blas());
  }

  @Override
  public ConsensusOutcome consensus(ConsensusRequest request, Progress progress, Control control) {
    List<Checkpoint> runs = new ArrayList<>();
    try (Checkpoint base = Checkpoint.open(context, Path.of(request.base()))) {
      for (String run : request.runs()) {
        runs.add(Checkpoint.open(context, Path.of(run)));
      }
      SharedMatrices shared = SharedMatrices.of(base, runs, request.selected());
      request.check().accept(shared);
      List<TensorConsensus> tensors = Consensus.of(context, shared, progress, control);
      List<TensorTrajectory> trajectories =
          request.isTrajectory()
              ? new Trajectory(request.stepNumbers(), request.geometry(), memory)
                  .of(context, shared, progress, control)
              : List.of();
      base.check();
      runs.forEach(Checkpoint::check);
      return new ConsensusOutcome(tensors, trajectories, shared.withoutPairs(), List.of());
    } finally {
      runs.forEach(Checkpoint::close);
    }
  }

  @Override
  public MaskOutcome mask(MaskRequest request, Progress progress, Control control)
      throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(context, Path.of(request.base()))) {
      Pairing matrices = MaskFile.matrices(checkpoint, request.selected());
      request.check().accept(matrices);
      MaskBase base = MaskBase.of(context, checkpoint, matrices, control);
      List<Accounting.Note> excluded =
          new MaskWriter(request.options(), request.metadata(base), request.file())
              .compute(context, matrices, progress, control);
      checkpoint.check();
      Pairing masked = matrices.excluding(excluded);
      return new MaskOutcome(masked.pairs().size(), base, masked.withoutPairs(), excluded);
    }
  }

  /** Does nothing, because the caller owns the context. */
  @Override
  public void close() {}
}
