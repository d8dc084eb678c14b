package org.threegate.analysis.measure;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
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

  /** Compares; finished tensors go to the journal. */
  public Outcome run(Pairing pairing, Journal journal, Progress progress) throws IOException {
    Map<String, Journal.Finished> done = new HashMap<>();
    journal.finished().forEach(finished -> done.put(finished.diff().name(), finished));
    Map<String, String> digests = new HashMap<>();
    List<TensorDiff> tensors = new ArrayList<>();
    long total = pairing.pairs().stream().mapToLong(TensorPair::bytes).sum();
    long read = 0;
    double digestSeconds = 0;
    double diffSeconds = 0;
    ExecutorService digesters = Executors.newFixedThreadPool(2, Comparison::daemon);
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
          long start = System.nanoTime();
          Map<String, Future<String>> pending = startDigests(pair.sources(), digests, digesters);
          TensorDiff diff = compare(pair);
          diffSeconds += diff.seconds();
          finished = new Journal.Finished(diff, await(pending));
          if (control.isCancelled()) {
            throw new CancelledException(); // the digests may have stopped halfway
          }
          digestSeconds += (System.nanoTime() - start) * 1e-9 - diff.seconds();
          journal.add(finished);
          pair.sources().forEach(tensor -> tensor.file().isDone(tensor.offset(), tensor.bytes()));
        }
        tensors.add(finished.diff());
        digests.putAll(finished.digests());
        read += pair.bytes();
        if (control.isCancelled()) {
          throw new CancelledException();
        }
      }
      progress.at("", total, total);
      long start = System.nanoTime();
      Optional<String> baseDigest = checkpointDigest(base, digests, digesters);
      Optional<String> tunedDigest = checkpointDigest(tuned, digests, digesters);
      digestSeconds += (System.nanoTime() - start) * 1e-9;
      base.check();
      tuned.check();
      return new Outcome(tensors, baseDigest, tunedDigest, digestSeconds, diffSeconds);
    } finally {
      control.cancel(); // digests that are still running have lost their purpose
      digesters.shutdown();
      awaitTermination(digesters);
    }
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "threegate-digest");
    thread.setDaemon(true);
    return thread;
  }

  /** The files must not be unmapped under a digest. */
  private static void awaitTermination(ExecutorService digesters) {
    boolean interrupted = false;
    while (true) {
      try {
        if (digesters.awaitTermination(1, java.util.concurrent.TimeUnit.HOURS)) {
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

  private Map<String, Future<String>> startDigests(
      List<Tensor> tensors, Map<String, String> known, ExecutorService digesters) {
    Map<String, Future<String>> pending = new LinkedHashMap<>();
    if (digest) {
      for (Tensor tensor : tensors) {
        if (!known.containsKey(key(tensor))) {
          pending.put(
              key(tensor), digesters.submit(() -> Digests.of(tensor, control::isCancelled)));
        }
      }
    }
    return pending;
  }

  private static Map<String, String> await(Map<String, Future<String>> pending) {
    Map<String, String> digests = new LinkedHashMap<>();
    pending.forEach(
        (name, future) -> {
          try {
            digests.put(name, future.get());
          } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancelledException();
          }
        });
    return digests;
  }

  /** Digests what no pair has read, and combines. */
  private Optional<String> checkpointDigest(
      Checkpoint checkpoint, Map<String, String> digests, ExecutorService digesters) {
    if (!digest) {
      return Optional.empty();
    }
    digests.putAll(
        await(startDigests(List.copyOf(checkpoint.tensors().values()), digests, digesters)));
    if (control.isCancelled()) {
      throw new CancelledException();
    }
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
      if (e.status() == Status.CANCELLED) {
        throw new CancelledException();
      }
      if (e.status() == Status.IO) {
        base.check();
        tuned.check();
        throw new InvalidInputException(pair.name() + ": " + e.getMessage(), e);
      }
      throw e;
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
