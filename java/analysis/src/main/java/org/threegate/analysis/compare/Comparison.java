package org.threegate.analysis.compare;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.threegate.analysis.diff.DiffMeasurement;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.Identity;
import org.threegate.checkpoint.ReadAhead;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.Scratch;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.MemoryBudget;
import org.threegate.run.Progress;
import org.threegate.run.Workers;

/**
 * Compares all pairs, tensor by tensor in file order, so that each byte is read from disk once.
 * While the kernel compares a tensor, other threads compute its digests and the geometry of its
 * update, and the next tensors are read ahead.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned);
 *     Journal<Comparison.Finished> journal =
 *         Journal.open(
 *             Path.of("journal"), Comparison.Finished.class, "base against tuned", false)) {
 *   Pairing pairing = Pairing.of(before, after, name -> name.contains("self_attn"));
 *   Comparison comparison = new Comparison(context, control, before, after, new Comparison.Wanted(DigestKind.NONE, Optional.of(GeometryOptions.DEFAULT)));
 *   for (TensorDiff tensor : comparison.run(pairing, journal, (name, done, total) -> {}).tensors()) {
 *     System.out.println(tensor.name() + " " + tensor.totals().sparsity());
 *   }
 * }
 * }</pre>
 */
public final class Comparison {
  /**
   * Largest number of digest threads. One thread digests about 3 GB/s with SHA instructions, and
   * few disks are more than four times as fast.
   */
  private static final int MOST_DIGEST_THREADS = 4;

  private final Context context;
  private final Control control;
  private final Checkpoint base;
  private final Checkpoint tuned;
  private final DigestKind digest;
  private final Optional<GeometryOptions> geometry;
  private final MemoryBudget memory;

  /**
   * A finished tensor.
   *
   * @param diff diff of the tensor
   * @param geometry geometry of its update, if measured
   * @param digests digests of the tensors that were read for it, keyed by {@code base:NAME} and
   *     {@code tuned:NAME}
   */
  public record Finished(
      TensorDiff diff, Optional<TensorGeometry> geometry, Map<String, String> digests) {}

  /**
   * The result of a comparison.
   *
   * @param tensors diffs of the tensors, in the order of the pairs
   * @param geometry geometry by name of the tensor, in the order of the tensors; contains tensors
   *     with at least two dimensions, if requested
   * @param baseIdentity digests of the base checkpoint that were wanted
   * @param tunedIdentity digests of the tuned checkpoint that were wanted
   * @param digestSeconds seconds spent waiting for digests and geometries after the kernel was done
   * @param diffSeconds seconds spent in the kernel
   */
  public record Outcome(
      List<TensorDiff> tensors,
      Map<String, TensorGeometry> geometry,
      Identity baseIdentity,
      Identity tunedIdentity,
      double digestSeconds,
      double diffSeconds) {}

  /**
   * What to compute besides counts.
   *
   * @param digest which digests to compute
   * @param geometry geometry to measure for each matrix; empty: none
   * @param memory bounds how many geometries are measured at the same time
   */
  public record Wanted(DigestKind digest, Optional<GeometryOptions> geometry, MemoryBudget memory) {
    /**
     * Asks for a comparison within half of the machine's memory.
     *
     * @param digest which digests to compute
     * @param geometry geometry to measure for each matrix; empty: none
     */
    public Wanted(DigestKind digest, Optional<GeometryOptions> geometry) {
      this(digest, geometry, MemoryBudget.ofMachine());
    }
  }

  /**
   * Creates a comparison.
   *
   * @param context context that runs the kernels
   * @param control cancels the comparison
   * @param base the checkpoint before training
   * @param tuned the tuned checkpoint, or the weights of the adapter; the tuned digest is computed
   *     from it
   * @param wanted what to compute besides counts
   */
  public Comparison(
      Context context, Control control, Checkpoint base, Checkpoint tuned, Wanted wanted) {
    this.context = context;
    this.control = control;
    this.base = base;
    this.tuned = tuned;
    this.digest = wanted.digest();
    this.geometry = wanted.geometry();
    this.memory = wanted.memory();
  }

  /** A tensor with a finished diff and pending digests and geometry. */
  private record Started(
      WeightPair pair,
      TensorDiff diff,
      Future<Map<String, String>> digests,
      Future<Optional<TensorGeometry>> geometry) {
    boolean isDone() {
      return digests.isDone() && geometry.isDone();
    }
  }

  /** Collects finished tensors, writes them to the journal and reports progress. */
  private final class Finishing {
    private final Journal<Finished> journal;
    private final Progress progress;
    private final GeometryWork work;
    private final PageUse pages;
    private final Map<String, String> digests;
    private final Map<String, TensorGeometry> geometries;
    private final long total;
    private long done;
    private double seconds;

    Finishing(
        Journal<Finished> journal,
        Progress progress,
        GeometryWork work,
        PageUse pages,
        Map<String, String> digests,
        Map<String, TensorGeometry> geometries,
        long total,
        long done) {
      this.journal = journal;
      this.progress = progress;
      this.work = work;
      this.pages = pages;
      this.digests = digests;
      this.geometries = geometries;
      this.total = total;
      this.done = done;
    }

    /**
     * Writes finished tensors to the journal in order. Waits for pending tensors while more than
     * {@code most} are pending.
     */
    void run(Deque<Started> started, int most) throws IOException {
      long before = System.nanoTime();
      while (!started.isEmpty() && (started.size() > most || started.peek().isDone())) {
        if (control.isCancelled()) {
          throw new CancelledException();
        }
        Started next = started.remove();
        progress.at(next.pair().name(), done, total);
        Map<String, String> own = await("digest", next.digests(), work);
        Optional<TensorGeometry> measured = await(next.pair().name(), next.geometry(), work);
        digests.putAll(own);
        measured.ifPresent(geometry -> geometries.put(next.pair().name(), geometry));
        journal.add(new Finished(next.diff(), measured, own));
        pages
            .lastReadBy(next.pair())
            .forEach(tensor -> tensor.file().isDone(context, tensor.offset(), tensor.bytes()));
        done += work.cost(next.pair());
      }
      seconds += (System.nanoTime() - before) * 1e-9;
    }
  }

  /**
   * {@return the tensors that an earlier run finished, by name} Records that do not fit the pairs
   * are ignored.
   *
   * @param journal journal of an earlier run
   * @param pairing pairs of this run
   */
  public static Map<String, Finished> finished(Journal<Finished> journal, Pairing pairing) {
    Map<String, WeightPair> pairs = new HashMap<>();
    pairing.pairs().forEach(pair -> pairs.put(pair.name(), pair));
    Map<String, Finished> finished = new HashMap<>();
    for (Finished one : journal.finished()) {
      WeightPair pair = pairs.get(one.diff().name());
      if (pair != null && DiffMeasurement.mayBeOf(one.diff(), pair)) {
        finished.put(pair.name(), one);
      }
    }
    return finished;
  }

  /**
   * Compares all pairs and writes finished tensors to the journal.
   *
   * @param pairing pairs to compare
   * @param journal receives each finished tensor; tensors in it are not measured again
   * @param progress receives the work that is done, as estimated by {@link PairMeasurement#cost}
   * @return the diffs, geometries and digests of all pairs
   * @throws IOException if the journal cannot be written
   */
  public Outcome run(Pairing pairing, Journal<Finished> journal, Progress progress)
      throws IOException {
    Map<String, Finished> done = finished(journal, pairing);
    Map<String, String> digests = new HashMap<>();
    Map<String, TensorGeometry> geometries = new HashMap<>();
    for (Finished finished : done.values()) {
      digests.putAll(finished.digests());
      finished.geometry().ifPresent(own -> geometries.put(finished.diff().name(), own));
    }
    List<WeightPair> left =
        pairing.pairs().stream().filter(pair -> !done.containsKey(pair.name())).toList();
    int digestThreads = Math.min(context.threads(), MOST_DIGEST_THREADS);
    // Allow enough pending tensors that no digest thread waits for the diff. Geometries differ in
    // cost by a factor of a thousand and finish in order, so they need a longer queue.
    int mostStarted = 2 * digestThreads + (geometry.isPresent() ? 8 * context.threads() : 0);
    List<TensorDiff> fresh = new ArrayList<>();
    Deque<Started> started = new ArrayDeque<>();
    AtomicLong reached = new AtomicLong();
    try (TensorDigests digester =
            new TensorDigests(digestThreads, digest, control, this::key, digests.keySet());
        GeometryWork work = new GeometryWork(context, geometry, left, memory);
        Scratch scratch = new Scratch(context);
        ReadAhead ahead = readAhead(left, reached);
        Workers files = Workers.onCpu(Math.min(digestThreads, 2), "threegate-files")) {
      ahead.start();
      Future<List<Identity.FileDigest>> baseFiles = startFiles(files, base);
      Future<List<Identity.FileDigest>> tunedFiles = startFiles(files, tuned);
      long total = pairing.pairs().stream().mapToLong(work::cost).sum();
      long begun = total - left.stream().mapToLong(work::cost).sum();
      Finishing finishing =
          new Finishing(
              journal, progress, work, new PageUse(left), digests, geometries, total, begun);
      for (int i = 0; i < left.size(); i++) {
        WeightPair pair = left.get(i);
        if (started.isEmpty()) {
          progress.at(pair.name(), finishing.done, total);
        }
        await(ahead, i);
        Future<Map<String, String>> pending = digester.start(pair.sources());
        TensorDiff diff = compare(pair, scratch);
        fresh.add(diff);
        started.add(new Started(pair, diff, pending, work.start(pair)));
        reached.addAndGet(pair.bytes());
        finishing.run(started, mostStarted);
        if (control.isCancelled()) {
          throw new CancelledException();
        }
      }
      finishing.run(started, 0);
      progress.at("", total, total);
      long before = System.nanoTime();
      Identity baseIdentity = identity(base, digests, digester, work, baseFiles);
      Identity tunedIdentity = identity(tuned, digests, digester, work, tunedFiles);
      double digestSeconds = finishing.seconds + (System.nanoTime() - before) * 1e-9;
      base.check();
      tuned.check();
      Iterator<TensorDiff> next = fresh.iterator();
      List<TensorDiff> tensors =
          pairing.pairs().stream()
              .map(
                  pair ->
                      done.containsKey(pair.name()) ? done.get(pair.name()).diff() : next.next())
              .toList();
      Map<String, TensorGeometry> inOrder = new LinkedHashMap<>();
      for (TensorDiff tensor : tensors) {
        if (geometries.containsKey(tensor.name())) {
          inOrder.put(tensor.name(), geometries.get(tensor.name()));
        }
      }
      double diffSeconds = tensors.stream().mapToDouble(TensorDiff::seconds).sum();
      return new Outcome(tensors, inOrder, baseIdentity, tunedIdentity, digestSeconds, diffSeconds);
    }
  }

  /** Plans what to read. Geometries release their tensors late, so these stay in the page cache. */
  private ReadAhead readAhead(List<WeightPair> pairs, AtomicLong reached) {
    List<List<Tensor>> steps = pairs.stream().map(WeightPair::sources).toList();
    return geometry.isPresent()
        ? new ReadAhead(steps, reached::get)
        : ReadAhead.ofReleased(steps, reached::get, MemoryBudget.ofMachine().bytes());
  }

  private static void await(ReadAhead ahead, int step) {
    try {
      ahead.awaitStep(step);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException();
    }
  }

  private String key(Tensor tensor) {
    return (base.tensors().get(tensor.name()) == tensor ? "base:" : "tuned:") + tensor.name();
  }

  /** Waits for a result. Forwards a cancellation of the comparison while waiting. */
  private <T> T await(String what, Future<T> pending, GeometryWork work) {
    try {
      return Workers.await(pending, control, work::cancel);
    } catch (KernelException e) {
      throw translate(what, e);
    }
  }

  /** Translates a failed kernel to the exception of the comparison. */
  private RuntimeException translate(String what, KernelException e) {
    if (e.status() == Status.CANCELLED) {
      return new CancelledException();
    }
    if (e.status() == Status.IO) {
      base.check();
      tuned.check();
      return new InvalidInputException(what + ": " + e.getMessage(), e);
    }
    return e;
  }

  private Future<List<Identity.FileDigest>> startFiles(Workers workers, Checkpoint checkpoint) {
    return digest == DigestKind.SHA256
        ? workers.submit((own, control) -> Digests.ofFiles(own, checkpoint, control))
        : CompletableFuture.completedFuture(List.of());
  }

  /** Computes digests of tensors that no pair has read, and combines all digests. */
  private Identity identity(
      Checkpoint checkpoint,
      Map<String, String> digests,
      TensorDigests digester,
      GeometryWork work,
      Future<List<Identity.FileDigest>> files) {
    if (!digest.isOfTensors()) {
      return new Identity(Optional.empty(), Optional.empty(), await("digest", files, work));
    }
    List<Future<Map<String, String>>> rest =
        checkpoint.tensors().values().stream()
            .map(tensor -> digester.start(List.of(tensor)))
            .toList();
    rest.forEach(pending -> digests.putAll(await("digest", pending, work)));
    Map<String, String> own = new HashMap<>();
    checkpoint
        .tensors()
        .values()
        .forEach(tensor -> own.put(tensor.name(), digests.get(key(tensor))));
    return Identity.of(digest, Digests.combine(context, digest, checkpoint.tensors(), own));
  }

  private TensorDiff compare(WeightPair pair, Scratch scratch) {
    try {
      return DiffMeasurement.of(context, pair, scratch, control);
    } catch (KernelException e) {
      throw translate(pair.name(), e);
    }
  }
}
