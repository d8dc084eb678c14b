package org.threegate.spark;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskKilledException;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.resource.ResourceInformation;
import org.apache.spark.util.SerializableConfiguration;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Workers;

/** The code that runs in an executor. It fetches the items of a unit and measures them. */
final class UnitRun implements FlatMapFunction<Iterator<String>, Answer>, Serializable {
  /**
   * Constant across versions, so that a version mismatch is reported by our own check instead of a
   * serialization error.
   */
  private static final long serialVersionUID = 1L;

  private static final String GPU = "gpu";
  private static final long POLL_MILLIS = 50;

  private final Machine reference;
  private final SerializableConfiguration configuration;
  private final Work work;

  private static final Arenas ARENAS = new Arenas();

  /** The memory gate of this executor, created on first use. */
  private static final class Gate {
    static final MemoryGate GATE = new MemoryGate(ExecutorMemory.bytes(SparkEnv.get().conf()));
  }

  /** Frees the arenas that tasks in this JVM left in the pool. */
  static void freeArenas() {
    ARENAS.free();
  }

  UnitRun(Machine reference, SerializableConfiguration configuration, Work work) {
    this.reference = reference;
    this.configuration = configuration;
    this.work = work;
  }

  @Override
  public Iterator<Answer> call(Iterator<String> units) throws IOException {
    Machine.here().require(reference);
    List<Answer> answers = new ArrayList<>();
    while (units.hasNext()) {
      answers.addAll(measure(Journal.decode(Descriptions.Unit.class, units.next())));
    }
    return answers.iterator();
  }

  private List<Answer> measure(Descriptions.Unit unit) throws IOException {
    TaskContext task = TaskContext.get();
    List<Answer> answers = new ArrayList<>();
    // Each item runs on one thread, so results do not depend on the number of threads.
    try (Context context = context(task);
        Workers workers = Workers.like(context, "threegate-task")) {
      List<Future<Answer>> pending = new ArrayList<>();
      for (Descriptions.Item item : unit.items()) {
        pending.add(
            workers.submit(
                (own, control) ->
                    measure(own, control, configuration.value(), unit, item, Gate.GATE, ARENAS)));
      }
      for (int i = 0; i < pending.size(); i++) {
        answers.add(await(task, unit.items().get(i), pending.get(i), workers));
      }
    }
    return answers;
  }

  private static Context context(TaskContext task) {
    ResourceInformation gpu = task.resourcesJMap().get(GPU);
    if (gpu == null) {
      return Context.open(Context.Device.CPU, task.cpus());
    }
    try {
      return Context.open(
          Context.Device.CUDA, Integer.parseInt(gpu.addresses()[0].trim()), task.cpus());
    } catch (KernelException | NumberFormatException e) {
      throw new ExecutorException(
          Machine.here().executor()
              + ": has GPU "
              + gpu.addresses()[0]
              + " assigned by Spark, but kernels cannot run there: "
              + e.getMessage());
    }
  }

  /** Waits for the answer. Errors that may not recur are thrown, so that Spark retries the task. */
  private static Answer await(
      TaskContext task, Descriptions.Item item, Future<Answer> pending, Workers workers)
      throws IOException {
    while (true) {
      try {
        return pending.get(POLL_MILLIS, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        if (task.isInterrupted()) {
          workers.cancel();
          throw new TaskKilledException("the task was cancelled");
        }
      } catch (InterruptedException e) {
        workers.cancel();
        Thread.currentThread().interrupt();
        throw new TaskKilledException("the task was cancelled");
      } catch (ExecutionException e) {
        if (e.getCause() instanceof UncheckedIOException failure) {
          int attempts = SparkEnv.get().conf().getInt("spark.task.maxFailures", 4);
          if (task.attemptNumber() + 1 < attempts && !isLocal()) {
            throw failure.getCause();
          }
          return failed(item, failure.getCause());
        }
        return failed(item, e.getCause());
      }
    }
  }

  /** Returns whether Spark runs in local mode, where tasks are not retried. */
  private static boolean isLocal() {
    String master = SparkEnv.get().conf().get("spark.master", "");
    return master.startsWith("local") && !master.startsWith("local-cluster");
  }

  private static Answer failed(Descriptions.Item item, Throwable reason) {
    return new Answer(item.name(), Map.of(), new byte[0], Reasons.line(reason));
  }

  /** Measures an item. If memory runs out, measures it once more without other items beside it. */
  Answer measure(
      Context context,
      Control control,
      Configuration files,
      Descriptions.Unit unit,
      Descriptions.Item item,
      MemoryGate gate,
      Arenas arenas) {
    boolean alone = unit.alone();
    while (true) {
      try {
        return gate.hold(
            item.bytes(), alone, () -> measure(context, control, files, unit, item, arenas));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (OutOfMemoryError | KernelException e) {
        boolean memory =
            e instanceof OutOfMemoryError
                || e instanceof KernelException kernel && kernel.status() == Status.OUT_OF_MEMORY;
        if (alone && memory) {
          throw new InvalidInputException(
              Machine.here().executor()
                  + ": out of memory although it ran alone ("
                  + e.getMessage()
                  + "); give executors more, spark.executor.memoryOverhead",
              e);
        }
        if (!memory) {
          throw e;
        }
        alone = true;
        arenas.free();
      }
    }
  }

  private Answer measure(
      Context context,
      Control control,
      Configuration files,
      Descriptions.Unit unit,
      Descriptions.Item item,
      Arenas arenas)
      throws IOException {
    Map<Descriptions.Stored, Long> places = Fetch.lay(item.pairs());
    NativeBuffer arena = arenas.take(context, Fetch.bytes(places));
    List<TensorPair> pairs = new ArrayList<>();
    try (Fetch fetch = new Fetch(context, files, unit.files(), places, arena);
        Excerpts excerpts = new Excerpts(context, fetch)) {
      for (Descriptions.Pair pair : item.pairs()) {
        pairs.add(fetch.pair(pair));
      }
      if (item.computed().isPresent()) {
        pairs.addAll(excerpts.pairs(item.name(), item.computed().get()));
      }
      Map<String, String> digests = new HashMap<>();
      for (Descriptions.Digested digested : item.digests()) {
        digests.put(digested.key(), fetch.digest(digested, control));
      }
      byte[] result = pairs.isEmpty() ? new byte[0] : work.of(context, pairs, control);
      return new Answer(item.name(), digests, result, "");
    } finally {
      pairs.forEach(TensorPair::close);
      arenas.give(arena);
    }
  }

  /** The native memory that the tasks of an executor may use. */
  static final class ExecutorMemory {
    private static final String SETTING = "spark.threegate.memory";
    private static final double SHARE_OF_MACHINE = 0.5;
    private static final long MIB = 1L << 20;

    private ExecutorMemory() {}

    /**
     * Returns the limit in bytes: the configured value, or Spark's off-heap memory, or half of the
     * machine's memory.
     */
    static long bytes(SparkConf conf) {
      if (conf.contains(SETTING)) {
        return conf.getSizeAsBytes(SETTING);
      }
      long declared =
          conf.getSizeAsMb("spark.executor.memoryOverhead", "0") * MIB
              + (conf.getBoolean("spark.memory.offHeap.enabled", false)
                  ? conf.getSizeAsBytes("spark.memory.offHeap.size", "0")
                  : 0);
      long machine = org.threegate.kernel.Capabilities.query().memoryBytes();
      return declared > 0 ? declared : (long) (machine * SHARE_OF_MACHINE);
    }
  }
}
