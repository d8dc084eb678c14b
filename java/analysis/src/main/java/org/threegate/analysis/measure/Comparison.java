package org.threegate.analysis.measure;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;

/**
 * Runs the diff over all pairs, tensor by tensor in file order, so that each byte is read once:
 * while the kernel compares a tensor, its digests are computed beside it, and the next tensor is
 * read ahead.
 */
public final class Comparison {
  /** Rows or columns up to which profiles are kept. */
  public static final long LONGEST_PROFILE = 1L << 22;

  /** Rows and columns of the map of changes. */
  public static final int MAP_SIZE = 48;

  /** Tensors whose digests may lag behind: the diff of the next one reads on meanwhile. */
  private static final int MOST_STARTED = 4;

  private final Context context;
  private final Control control;
  private final Checkpoint base;
  private final Checkpoint tuned;
  private final boolean digest;

  /** Someone cancelled through the control. */
  public static final class CancelledException extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /**
   * What came out.
   *
   * @param baseDigest SHA-256 of the base checkpoint, see {@link Digests}; empty when not wanted
   * @param digestSeconds spent waiting for digests beyond the kernel's time
   * @param diffSeconds spent in the kernel
   */
  public record Outcome(
      List<TensorDiff> tensors,
      Optional<String> baseDigest,
      Optional<String> tunedDigest,
      double digestSeconds,
      double diffSeconds) {}

  /**
   * @param tuned the tuned checkpoint, or the adapter's own weights: what the digest is of
   * @param digest whether to compute digests
   */
  public Comparison(
      Context context, Control control, Checkpoint base, Checkpoint tuned, boolean digest) {
    this.context = context;
    this.control = control;
    this.base = base;
    this.tuned = tuned;
    this.digest = digest;
  }

  /** A tensor whose diff is done and whose digests are on their way. */
  private record Started(TensorPair pair, TensorDiff diff, Future<Map<String, String>> digests) {}

  /** Compares; finished tensors go to the journal. */
  public Outcome run(Pairing pairing, Journal journal, Progress progress) throws IOException {
    Map<String, Journal.Finished> done = new HashMap<>();
    journal.finished().forEach(finished -> done.put(finished.diff().name(), finished));
    Map<String, String> digests = new HashMap<>();
    List<TensorDiff> tensors = new ArrayList<>();
    Deque<Started> started = new ArrayDeque<>();
    long total = pairing.pairs().stream().mapToLong(TensorPair::bytes).sum();
    long read = 0;
    double digestSeconds = 0;
    ExecutorService digester = Executors.newSingleThreadExecutor(Comparison::daemon);
    // One thread for digests: two ranges in step keep it as busy as two threads would be.
    try (Context digestContext = Context.open(Context.Device.CPU, 1)) {
      try {
        List<TensorPair> pairs = pairing.pairs();
        for (int i = 0; i < pairs.size(); i++) {
          TensorPair pair = pairs.get(i);
          progress.at(pair.name(), read, total);
          Journal.Finished finished = done.get(pair.name());
          if (finished == null) {
            if (i + 1 < pairs.size()) {
              pairs
                  .get(i + 1)
                  .sources()
                  .forEach(tensor -> tensor.file().willNeed(tensor.offset(), tensor.bytes()));
            }
            Future<Map<String, String>> pending =
                startDigests(pair.sources(), digests, digestContext, digester);
            TensorDiff diff = compare(pair);
            tensors.add(diff);
            started.add(new Started(pair, diff, pending));
          } else {
            tensors.add(finished.diff());
            digests.putAll(finished.digests());
          }
          long before = System.nanoTime();
          finish(started, MOST_STARTED, journal, digests);
          digestSeconds += (System.nanoTime() - before) * 1e-9;
          read += pair.bytes();
          if (control.isCancelled()) {
            throw new CancelledException();
          }
        }
        progress.at("", total, total);
        long before = System.nanoTime();
        finish(started, 0, journal, digests);
        Optional<String> baseDigest = checkpointDigest(base, digests, digestContext, digester);
        Optional<String> tunedDigest = checkpointDigest(tuned, digests, digestContext, digester);
        digestSeconds += (System.nanoTime() - before) * 1e-9;
        base.check();
        tuned.check();
        double diffSeconds = tensors.stream().mapToDouble(TensorDiff::seconds).sum();
        return new Outcome(tensors, baseDigest, tunedDigest, digestSeconds, diffSeconds);
      } finally {
        control.cancel(); // digests that are still running have lost their purpose
        digester.shutdown();
        awaitTermination(digester);
      }
    }
  }

  /**
   * Journals tensors whose digests are there, in order; waits for them while more than {@code most}
   * are started.
   */
  private void finish(
      Deque<Started> started, int most, Journal journal, Map<String, String> digests)
      throws IOException {
    while (!started.isEmpty() && (started.size() > most || started.peek().digests().isDone())) {
      Started next = started.remove();
      Map<String, String> own = await(next.digests());
      digests.putAll(own);
      journal.add(new Journal.Finished(next.diff(), own));
      next.pair()
          .sources()
          .forEach(tensor -> tensor.file().isDone(tensor.offset(), tensor.bytes()));
    }
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "threegate-digest");
    thread.setDaemon(true);
    return thread;
  }

  /** The files must not be unmapped under a digest. */
  private static void awaitTermination(ExecutorService digester) {
    boolean interrupted = false;
    while (true) {
      try {
        if (digester.awaitTermination(1, TimeUnit.HOURS)) {
          break;
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private String key(Tensor tensor) {
    return (base.tensors().get(tensor.name()) == tensor ? "base:" : "tuned:") + tensor.name();
  }

  private Future<Map<String, String>> startDigests(
      List<Tensor> tensors,
      Map<String, String> known,
      Context digestContext,
      ExecutorService digester) {
    List<Tensor> unknown =
        tensors.stream().filter(tensor -> digest && !known.containsKey(key(tensor))).toList();
    if (unknown.isEmpty()) {
      return CompletableFuture.completedFuture(Map.of());
    }
    return digester.submit(
        () -> {
          List<String> values = Digests.of(digestContext, unknown, control);
          Map<String, String> digests = new LinkedHashMap<>();
          for (int i = 0; i < values.size(); i++) {
            digests.put(key(unknown.get(i)), values.get(i));
          }
          return digests;
        });
  }

  private Map<String, String> await(Future<Map<String, String>> pending) {
    try {
      return pending.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof KernelException failure) {
        throw translate("digest", failure);
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException();
    }
  }

  /** What a failed kernel means for the comparison. */
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

  /** Digests what no pair has read, and combines. */
  private Optional<String> checkpointDigest(
      Checkpoint checkpoint,
      Map<String, String> digests,
      Context digestContext,
      ExecutorService digester) {
    if (!digest) {
      return Optional.empty();
    }
    digests.putAll(
        await(
            startDigests(
                List.copyOf(checkpoint.tensors().values()), digests, digestContext, digester)));
    Map<String, String> own = new HashMap<>();
    checkpoint
        .tensors()
        .values()
        .forEach(tensor -> own.put(tensor.name(), digests.get(key(tensor))));
    return Optional.of(Digests.combine(checkpoint.tensors(), own));
  }

  private TensorDiff compare(TensorPair pair) {
    long rows = pair.base().rows();
    long columns = pair.base().columns();
    boolean matrix = pair.dimensions() >= 2 && rows > 0 && columns > 0;
    int mapRows = matrix ? (int) Math.min(rows, MAP_SIZE) : 0;
    int mapColumns = matrix ? (int) Math.min(columns, MAP_SIZE) : 0;
    Bf16Diff.Profiles profiles =
        new Bf16Diff.Profiles(
            matrix && rows <= LONGEST_PROFILE,
            matrix && columns <= LONGEST_PROFILE,
            false,
            mapRows,
            mapColumns);
    long start = System.nanoTime();
    Bf16Diff.Result result;
    try {
      result = Bf16Diff.compare(context, pair.base(), pair.tuned(), profiles, control);
    } catch (KernelException e) {
      throw translate(pair.name(), e);
    }
    double seconds = (System.nanoTime() - start) * 1e-9;
    Optional<ChangeMap> map = result.map().map(cells -> new ChangeMap(mapRows, mapColumns, cells));
    Optional<long[]> byRow = pair.transposed() ? result.columnChanged() : result.rowChanged();
    Optional<long[]> byColumn = pair.transposed() ? result.rowChanged() : result.columnChanged();
    List<Long> shape =
        pair.dimensions() < 2
            ? List.of(columns)
            : (pair.transposed() ? List.of(columns, rows) : List.of(rows, columns));
    return new TensorDiff(
        pair.name(),
        pair.layer(),
        pair.kind().label(),
        pair.dtypeBase(),
        pair.dtypeTuned(),
        shape,
        pair.transposed(),
        totals(result),
        result.ulpHistogram(),
        byRow,
        byColumn,
        heads(pair.heads(), byRow, byColumn, shape),
        pair.transposed() ? map.map(Comparison::transpose) : map,
        seconds);
  }

  private static Totals totals(Bf16Diff.Result result) {
    return new Totals(
        result.total(),
        result.changed(),
        result.changedBits(),
        result.changedStored(),
        result.hidden(),
        result.nonFinite(),
        result.signFlips(),
        result.baseSquares(),
        result.deltaSquares(),
        result.deltaDotBase(),
        result.maxAbsDelta());
  }

  private static ChangeMap transpose(ChangeMap map) {
    long[] cells = new long[map.changed().length];
    for (int i = 0; i < map.rows(); i++) {
      for (int j = 0; j < map.columns(); j++) {
        cells[j * map.rows() + i] = map.changed()[i * map.columns() + j];
      }
    }
    return new ChangeMap(map.columns(), map.rows(), cells);
  }

  /** A head is a range of rows or of columns, so its count is the sum of theirs. */
  private static List<HeadCount> heads(
      List<Architecture.Head> heads,
      Optional<long[]> byRow,
      Optional<long[]> byColumn,
      List<Long> shape) {
    List<HeadCount> counts = new ArrayList<>();
    for (Architecture.Head head : heads) {
      Optional<long[]> profile = head.onRows() ? byRow : byColumn;
      long across = head.onRows() ? shape.get(1) : shape.get(0);
      profile.ifPresent(
          changed ->
              counts.add(
                  new HeadCount(
                      head.part(),
                      head.index(),
                      range(changed, head).sum(),
                      (head.end() - head.begin()) * across)));
    }
    return counts;
  }

  private static LongStream range(long[] values, Architecture.Head head) {
    return Arrays.stream(values, (int) head.begin(), (int) head.end());
  }
}
