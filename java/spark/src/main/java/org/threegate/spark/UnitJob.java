package org.threegate.spark;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.spark.SimpleFutureAction;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.util.SerializableConfiguration;
import org.threegate.analysis.journal.Journal;
import org.threegate.kernel.Control;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import scala.Function0;
import scala.Function1;
import scala.Function2;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.BoxedUnit;

/**
 * Runs units as a Spark job and processes their answers as they arrive. If Spark aborts a unit
 * because executors died, the unit is split and its items run alone. If a unit with a single item
 * is aborted, the item fails and the job continues.
 */
final class UnitJob {
  private static final Pattern CULPRIT =
      Pattern.compile("Task (\\d+) in stage \\S+ failed (\\d+) times");
  private static final long POLL_MILLIS = 50;

  /** Setting with the longest time to wait for the first executor. */
  private static final String PATIENCE = "spark.threegate.executorTimeout";

  private static final String PATIENCE_DEFAULT = "5min";

  private final JavaSparkContext spark;
  private final Planner planner;
  private final Work work;

  /** Receives answers, one at a time. */
  interface Taker {
    void take(Answer answer) throws IOException;
  }

  /** The code that tasks run. Spark serializes it, so it must not refer to the enclosing object. */
  private interface Body extends Function1<Iterator<Answer>, List<Answer>>, Serializable {}

  private interface Collector extends Function2<Object, List<Answer>, BoxedUnit>, Serializable {}

  private interface Nothing extends Function0<BoxedUnit>, Serializable {}

  UnitJob(JavaSparkContext spark, Planner planner, Work work) {
    this.spark = spark;
    this.planner = planner;
    this.work = work;
  }

  /**
   * Returns the reference executor, which all others must match. Waits until an executor is
   * available.
   */
  Machine reference(Progress progress, Control control) {
    progress.at("waiting for executors", 0, 1);
    int tasks = 2 * Math.max(1, spark.defaultParallelism());
    List<Integer> numbers = IntStream.range(0, tasks).boxed().toList();
    List<Machine> machines =
        await(
            spark.parallelize(numbers, tasks).map(number -> Machine.here()).collectAsync(),
            control);
    Machine first = machines.get(0);
    for (Machine machine : machines) {
      machine
          .unlike(first)
          .ifPresent(
              reason -> {
                throw new InvalidInputException(reason);
              });
    }
    return first;
  }

  /**
   * Waits for a job. Fails if no executor starts in time; Spark itself would wait, or stop the
   * session.
   */
  private <T> T await(JavaFutureAction<T> job, Control control) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(patience(spark.getConf()));
    try {
      while (true) {
        try {
          return job.get(POLL_MILLIS, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
          if (control.isCancelled()) {
            throw new CancelledException();
          }
          if (System.nanoTime() > end && !hasExecutors()) {
            throw new InvalidInputException(
                noExecutor("within " + patience(spark.getConf()) + " s")
                    + " ("
                    + PATIENCE
                    + " sets the time to wait)",
                e);
          }
        }
      }
    } catch (ExecutionException e) {
      if (control.isCancelled()) {
        throw new CancelledException(); // Spark's own Ctrl-C handler stopped the job first
      }
      String reason = Reasons.ofJob(e.getCause());
      throw new InvalidInputException(
          spark.sc().isStopped() || !hasExecutors() ? noExecutor("(" + reason + ")") : reason, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException();
    } finally {
      if (!job.isDone() && !spark.sc().isStopped()) {
        job.cancel(true);
      }
    }
  }

  private static long patience(SparkConf conf) {
    return conf.getTimeAsSeconds(PATIENCE, PATIENCE_DEFAULT);
  }

  /** Returns whether an executor is registered. In local mode, the driver is the executor. */
  private boolean hasExecutors() {
    return spark.isLocal() || spark.sc().statusTracker().getExecutorInfos().length > 1;
  }

  private String noExecutor(String when) {
    return spark.master()
        + ": no executor started "
        + when
        + "; read the logs of its workers, and compare spark.executor.memory and spark.executor.cores"
        + " with what they have";
  }

  /** Encodes units for transfer. */
  static List<String> encode(List<Descriptions.Unit> units) throws IOException {
    try {
      return units.parallelStream()
          .map(
              unit -> {
                try {
                  return Journal.encode(unit);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              })
          .toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Returns the answers as a Spark RDD. */
  JavaRDD<Answer> answers(Machine reference, List<Descriptions.Unit> units) throws IOException {
    List<String> lines = encode(units);
    return spark
        .parallelize(lines, Math.max(1, lines.size()))
        .mapPartitions(
            new UnitRun(
                reference, new SerializableConfiguration(spark.hadoopConfiguration()), work));
  }

  /**
   * Runs all units.
   *
   * @throws InvalidInputException if the cluster fails; the message names the executor and the
   *     reason
   */
  void run(
      Machine reference,
      List<Descriptions.Unit> units,
      Taker taker,
      Progress progress,
      Control control)
      throws IOException {
    double total =
        units.stream()
            .flatMap(unit -> unit.items().stream())
            .mapToDouble(Descriptions.Item::cost)
            .sum();
    double[] done = {0};
    Set<String> answered = new HashSet<>();
    Map<String, Double> costs = new java.util.HashMap<>();
    units.forEach(unit -> unit.items().forEach(item -> costs.put(item.name(), item.cost())));
    Taker counting =
        answer -> {
          if (answered.add(answer.name())) {
            taker.take(answer);
            done[0] += costs.get(answer.name());
            progress.at(answer.name(), (long) done[0], (long) total);
          }
        };
    Deque<List<Descriptions.Unit>> rounds = new ArrayDeque<>(List.of(units));
    while (!rounds.isEmpty()) {
      List<Descriptions.Unit> round = rounds.remove();
      if (round.isEmpty()) {
        continue;
      }
      try {
        runOnce(reference, round, counting, control);
      } catch (JobFailedException e) {
        Matcher culprit = CULPRIT.matcher(String.valueOf(e.getCause().getMessage()));
        String reason = Reasons.ofJob(e.getCause());
        if (isOfExecutor(e.getCause()) || !culprit.find()) {
          throw new InvalidInputException(reason, e);
        }
        int index = Integer.parseInt(culprit.group(1));
        Descriptions.Unit blamed = round.get(index);
        List<Descriptions.Unit> rest = new ArrayList<>();
        for (Descriptions.Unit unit : round) {
          List<Descriptions.Item> left =
              unit.items().stream().filter(item -> !answered.contains(item.name())).toList();
          if (unit != blamed && !left.isEmpty()) {
            rest.add(new Descriptions.Unit(unit.files(), left, unit.alone()));
          }
        }
        if (blamed.alone() && blamed.items().size() == 1) {
          counting.take(
              new Answer(
                  blamed.items().get(0).name(),
                  Map.of(),
                  new byte[0],
                  "failed after " + culprit.group(2) + " attempts: " + reason));
        } else {
          rounds.add(planner.split(blamed));
        }
        rounds.addFirst(rest);
      }
    }
    progress.at("", (long) total, (long) total);
    UnitRun.freeArenas(); // of executors in this JVM
  }

  private static boolean isOfExecutor(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof ExecutorException
          || String.valueOf(cause.getMessage()).contains(ExecutorException.class.getName())) {
        return true;
      }
    }
    return false;
  }

  /** Thrown if Spark aborted a job. */
  private static final class JobFailedException extends Exception {
    private static final long serialVersionUID = 1L;

    JobFailedException(Throwable cause) {
      super(cause);
    }
  }

  private void runOnce(
      Machine reference, List<Descriptions.Unit> units, Taker taker, Control control)
      throws IOException, JobFailedException {
    JavaRDD<Answer> answers = answers(reference, units);
    // Process answers on this thread, not on Spark's scheduler thread.
    LinkedBlockingQueue<List<Answer>> arrived = new LinkedBlockingQueue<>();
    Body body = all -> new ArrayList<>(CollectionConverters.asJava(all.toSeq()));
    Collector collector =
        (partition, some) -> {
          arrived.add(some);
          return BoxedUnit.UNIT;
        };
    List<Object> partitions = new ArrayList<>();
    IntStream.range(0, answers.getNumPartitions()).forEach(partitions::add);
    Nothing nothing = () -> BoxedUnit.UNIT;
    SimpleFutureAction<BoxedUnit> job =
        spark
            .sc()
            .submitJob(
                answers.rdd(),
                body,
                CollectionConverters.asScala(partitions).toSeq(),
                collector,
                nothing);
    try {
      while (true) {
        boolean last = job.isCompleted();
        List<Answer> some = arrived.poll(last ? 0 : POLL_MILLIS, TimeUnit.MILLISECONDS);
        if (some != null) {
          for (Answer answer : some) {
            taker.take(answer);
          }
        } else if (last) {
          break;
        }
        if (control.isCancelled()) {
          throw new CancelledException();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException();
    } finally {
      if (!job.isCompleted()) {
        job.cancel();
      }
    }
    scala.util.Try<?> end = job.value().get();
    if (end.isFailure()) {
      if (control.isCancelled()) {
        throw new CancelledException(); // Spark's own Ctrl-C handler stopped the job first
      }
      throw new JobFailedException(end.failed().get());
    }
  }
}
