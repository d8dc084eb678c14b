package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.rl.train.TrainingException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import org.threegate.testing.Mutations;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that a file with any content is either read or rejected in one line. Each case may take two
 * seconds of CPU time, memory is bounded, and no native memory may leak.
 *
 * <p>{@code -Dthreegate.test.mutations=N} sets the number of cases, {@code -Dthreegate.test.seed=N}
 * the seed, and {@code -Dthreegate.test.reader=NAME} runs the cases of one reader. The files of a
 * failed case are written to {@code target/mutations}. Cases that are copied to {@code
 * src/test/resources/mutations} are tested in every run.
 */
@ExtendWith(NativeLeaks.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class MutationTest {
  private static final int CASES = Integer.getInteger("threegate.test.mutations", 12_000);
  private static final String ONLY = System.getProperty("threegate.test.reader", "");
  private static final int THREADS = 2;
  private static final long LONGEST = TimeUnit.SECONDS.toNanos(2);
  private static final long HANGS = TimeUnit.SECONDS.toNanos(30);
  private static final int LONGEST_LINE = 600;
  // Enough for the heap of tests, libtorch, and the memory that native code may allocate.
  private static final long MOST_KILOBYTES = 3L << 20;
  private static final int MOST_KEPT = 2;
  private static final Path CORPUS = Path.of("src/test/resources/mutations");
  private static final Path KEPT = Path.of("target/mutations");
  private static final ThreadMXBean TIMES = ManagementFactory.getThreadMXBean();

  private Path directory = CORPUS;
  private List<Readers.Reader> readers = List.of();

  /** The names of the cases that failed, by reader and kind of failure. */
  private final Map<String, Queue<String>> failures = new ConcurrentSkipListMap<>();

  private final Map<String, AtomicInteger> read = new TreeMap<>();
  private final Map<String, AtomicInteger> refused = new TreeMap<>();

  @BeforeAll
  void make(@TempDir Path made) throws IOException {
    directory = made;
    readers =
        Readers.in(directory.resolve("valid")).stream()
            .filter(reader -> reader.name().startsWith(ONLY))
            .toList();
    for (Readers.Reader reader : readers) {
      read.put(reader.name(), new AtomicInteger());
      refused.put(reader.name(), new AtomicInteger());
    }
  }

  /** A reader, and the contents of the files that differ from its valid ones. */
  private record Case(String name, Readers.Reader reader, Map<String, byte[]> files) {}

  /** A thread that runs cases, and records its current case and when that case began. */
  private final class Worker extends Thread {
    private final Path place;
    private final Queue<Case> cases;
    private volatile Case now;
    private volatile long since;

    Worker(int number, Queue<Case> cases) {
      super("reader-" + number);
      setDaemon(true);
      this.place = directory.resolve("thread-" + number);
      this.cases = cases;
    }

    @Override
    public void run() {
      try (Context context = Context.open(Context.Device.CPU, 1)) {
        for (Case next = cases.poll(); next != null; next = cases.poll()) {
          since = System.nanoTime();
          now = next;
          one(context, next, place);
          now = null;
        }
      } catch (IOException e) {
        failures.computeIfAbsent("the harness: " + e, what -> new ConcurrentLinkedQueue<>());
      }
    }

    private boolean hangs() {
      return now != null && System.nanoTime() - since > HANGS;
    }
  }

  @Test
  void theValidFilesAreRead() throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      for (Readers.Reader reader : readers) {
        one(context, new Case("valid", reader, Map.of()), directory.resolve("valid-thread"));
        assertThat(refused.get(reader.name())).as(reader.name()).hasValue(0);
      }
    }
    assertThat(failures).isEmpty();
  }

  /** Runs all cases that failed before. Each is a directory with the files that differ. */
  @Test
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  void whatEverFailed() throws IOException, InterruptedException {
    Queue<Case> cases = new ConcurrentLinkedQueue<>();
    for (Readers.Reader reader : readers) {
      Path kept = CORPUS.resolve(reader.name());
      if (Files.isDirectory(kept)) {
        for (Path one : sorted(kept)) {
          Map<String, byte[]> files = new LinkedHashMap<>();
          try (Stream<Path> own = Files.walk(one)) {
            for (Path file : own.filter(Files::isRegularFile).toList()) {
              files.put(one.relativize(file).toString(), Files.readAllBytes(file));
            }
          }
          cases.add(new Case(one.getFileName().toString(), reader, files));
        }
      }
    }
    run(cases);
  }

  @Test
  @Timeout(value = 5, unit = TimeUnit.HOURS)
  void mutatedFilesAreReadOrRefusedInOneLine() throws IOException, InterruptedException {
    long seed = Long.getLong("threegate.test.seed", System.nanoTime());
    System.out.println("MutationTest: -Dthreegate.test.seed=" + seed);
    int shares = readers.stream().mapToInt(Readers.Reader::share).sum();
    Queue<Case> cases = new ConcurrentLinkedQueue<>();
    for (Readers.Reader reader : readers) {
      for (int i = 0; i < CASES * reader.share() / shares; i++) {
        cases.add(mutated(reader, seed, i));
      }
    }
    run(cases);
    for (Readers.Reader reader : readers) {
      System.out.printf(
          "%-24s read %5d, refused %5d%n",
          reader.name(), read.get(reader.name()).get(), refused.get(reader.name()).get());
    }
  }

  private static Case mutated(Readers.Reader reader, long seed, int number) throws IOException {
    Random random = new Random(seed * 1_000_003 + reader.name().hashCode() * 31L + number);
    Map<String, byte[]> files = new LinkedHashMap<>();
    for (int left = 1 + random.nextInt(6) / 5; left > 0; left--) {
      String name = reader.mutated().get(random.nextInt(reader.mutated().size()));
      byte[] file = new Mutations(random).of(Files.readAllBytes(reader.valid().resolve(name)));
      files.put(name, random.nextBoolean() ? reader.repaired().apply(file) : file);
    }
    return new Case(seed + "-" + number, reader, files);
  }

  private void run(Queue<Case> cases) throws IOException, InterruptedException {
    List<Worker> workers = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      workers.add(new Worker(i, cases));
    }
    failures.clear();
    workers.forEach(Thread::start);
    for (Worker worker : workers) {
      while (worker.isAlive() && !worker.hangs()) {
        worker.join(500);
      }
      if (worker.isAlive()) {
        Case hangs = worker.now;
        StackTraceElement[] where = worker.getStackTrace();
        fail(hangs, "hangs at " + (where.length == 0 ? "?" : where[0] + " " + where[1]));
        cases.clear();
      }
    }
    assertThat(failures.entrySet().stream().map(Object::toString)).isEmpty();
    assertThat(peak()).as("peak memory of this process in KiB").isLessThan(MOST_KILOBYTES);
  }

  /** Returns the peak memory of this process in KiB. */
  private static long peak() throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      return lines
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElseThrow();
    }
  }

  private void one(Context context, Case own, Path place) throws IOException {
    lay(own, place);
    long begin = TIMES.getCurrentThreadCpuTime();
    try {
      own.reader().read().of(context, place);
      read.get(own.reader().name()).incrementAndGet();
    } catch (InvalidInputException | KernelException | TrainingException e) {
      refused.get(own.reader().name()).incrementAndGet();
      String line = String.valueOf(e.getMessage());
      if (line.lines().count() != 1 || line.length() > LONGEST_LINE) {
        fail(own, "the message is not one short line: " + PrintableText.name(line));
      }
    } catch (Exception | Error e) {
      StackTraceElement[] at = e.getStackTrace();
      String ours =
          Stream.of(at)
              .filter(element -> element.getClassName().startsWith("org.threegate."))
              .findFirst()
              .map(StackTraceElement::toString)
              .orElse("");
      fail(own, e.getClass().getName() + " at " + ours);
    }
    long took = TIMES.getCurrentThreadCpuTime() - begin;
    if (took > LONGEST) {
      fail(own, "took more than two seconds");
    }
  }

  private void fail(Case own, String what) {
    Queue<String> same =
        failures.computeIfAbsent(
            own.reader().name() + ": " + what, kind -> new ConcurrentLinkedQueue<>());
    same.add(own.name());
    if (same.size() > MOST_KEPT) {
      return;
    }
    try {
      for (Map.Entry<String, byte[]> file : own.files().entrySet()) {
        Path kept = KEPT.resolve(own.reader().name()).resolve(own.name()).resolve(file.getKey());
        Files.createDirectories(kept.getParent());
        Files.write(kept, file.getValue());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes the valid files, with those of the case in place of the valid ones. */
  private static void lay(Case own, Path place) throws IOException {
    if (Files.exists(place)) {
      try (Stream<Path> before = Files.walk(place)) {
        for (Path path : before.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
    }
    try (Stream<Path> valid = Files.walk(own.reader().valid())) {
      for (Path from : valid.toList()) {
        String name = own.reader().valid().relativize(from).toString();
        if (Files.isDirectory(from)) {
          Files.createDirectories(place.resolve(name));
        } else {
          byte[] mutated = own.files().get(name);
          Files.write(place.resolve(name), mutated == null ? Files.readAllBytes(from) : mutated);
        }
      }
    }
  }

  private static List<Path> sorted(Path path) throws IOException {
    try (Stream<Path> files = Files.list(path)) {
      return files.sorted().toList();
    }
  }
}
