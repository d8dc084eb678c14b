package org.threegate.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.util.SerializableConfiguration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.testing.NativeLeaks;

/** Tests how tasks share memory, and what they do if it does not suffice. */
@ExtendWith(NativeLeaks.class)
@Tag("binding")
class UnitRunTest {
  private static final Machine MACHINE =
      new Machine("executor 1 (here)", "1, ABI 1", "jni", "avx2", "BLAS", "");

  @TempDir Path directory;

  @Test
  void holdersTogetherNeverHaveMoreThanThereIs() throws Exception {
    MemoryGate gate = new MemoryGate(100);
    AtomicInteger held = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    List<Integer> done = Collections.synchronizedList(new ArrayList<>());
    for (int i = 0; i < 40; i++) {
      int bytes = 10 + 3 * i; // above the limit from i = 31 on; these run alone
      boolean alone = i % 7 == 0;
      Thread thread =
          new Thread(
              () -> {
                try {
                  gate.hold(
                      bytes,
                      alone,
                      () -> {
                        int now = held.addAndGet(bytes);
                        assertThat(now <= 100 || now == bytes).isTrue();
                        assertThat(!alone || now == bytes).isTrue();
                        most.accumulateAndGet(now, Math::max);
                        Thread.yield();
                        held.addAndGet(-bytes);
                        return done.add(bytes);
                      });
                } catch (IOException | InterruptedException e) {
                  throw new IllegalStateException(e);
                }
              });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) {
      thread.join(TimeUnit.SECONDS.toMillis(60));
    }
    assertThat(done).hasSize(40);
  }

  @Test
  void whatFailsGivesBackWhatItHeld() throws Exception {
    MemoryGate gate = new MemoryGate(10);
    assertThatThrownBy(
            () ->
                gate.hold(
                    10,
                    true,
                    () -> {
                      throw new IOException("no");
                    }))
        .isInstanceOf(IOException.class);
    assertThat(gate.<Integer>hold(10, false, () -> 1)).isEqualTo(1);
  }

  @Test
  void memoryGoesFromOneToTheNext() {
    Arenas arenas = new Arenas();
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      NativeBuffer large = arenas.take(context, 1000);
      NativeBuffer small = arenas.take(context, 10);
      arenas.give(large);
      arenas.give(small);
      assertThat(arenas.take(context, 5)).isSameAs(small);
      assertThat(arenas.take(context, 500)).isSameAs(large);
      arenas.give(small);
      // A free buffer that is too small is closed to make room.
      NativeBuffer larger = arenas.take(context, 2000);
      assertThat(small.isClosed()).isTrue();
      arenas.give(larger);
      arenas.give(large);
      arenas.free();
      assertThat(larger.isClosed() && large.isClosed()).isTrue();
    }
  }

  /** Measures a tensor with work that runs out of memory until attempt {@code enough}. */
  private Answer measure(AtomicInteger attempts, int enough, MemoryGate gate) throws IOException {
    Path base = Models.write(directory.resolve("base"), 1, 16, 0, 1);
    Path tuned = Models.write(directory.resolve("tuned"), 1, 16, 1e-3, 1);
    Configuration files = new Configuration();
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        RemoteCheckpoint before =
            RemoteCheckpoint.open(
                context,
                RemoteModel.read(files, base.toString(), directory.resolve("mirror-0")),
                files);
        RemoteCheckpoint after =
            RemoteCheckpoint.open(
                context,
                RemoteModel.read(files, tuned.toString(), directory.resolve("mirror-1")),
                files)) {
      Planner planner = new Planner();
      planner.add("base", before.model(), before.checkpoint());
      planner.add("tuned", after.model(), after.checkpoint());
      var pair =
          org.threegate.analysis.pairing.Pairing.of(
                  before.checkpoint(), after.checkpoint(), name -> name.contains("q_proj"))
              .pairs()
              .get(0);
      Descriptions.Item item = planner.item(pair.name(), List.of(pair), List.of(), true, 1);
      Descriptions.Unit unit = planner.units(List.of(item), 1).get(0);
      Work work =
          (own, pairs, stop) -> {
            if (attempts.incrementAndGet() < enough) {
              throw new OutOfMemoryError("cannot allocate 7 bytes of native memory");
            }
            return new byte[] {1};
          };
      Arenas arenas = new Arenas();
      try {
        return new UnitRun(MACHINE, new SerializableConfiguration(files), work)
            .measure(context, control, files, unit, item, gate, arenas);
      } finally {
        arenas.free();
      }
    }
  }

  @Test
  void whatHasNoMemoryBesideOthersIsTriedAlone() throws Exception {
    MemoryGate gate = new MemoryGate(1L << 30);
    CountDownLatch held = new CountDownLatch(1);
    CountDownLatch release = new CountDownLatch(1);
    Thread other =
        new Thread(
            () -> {
              try {
                gate.hold(
                    1,
                    false,
                    () -> {
                      held.countDown();
                      try {
                        return release.await(60, TimeUnit.SECONDS);
                      } catch (InterruptedException e) {
                        throw new IOException(e);
                      }
                    });
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    other.start();
    held.await();
    AtomicInteger attempts = new AtomicInteger();
    Thread releasing =
        new Thread(
            () -> {
              while (attempts.get() == 0) {
                Thread.onSpinWait();
              }
              release.countDown();
            });
    releasing.start();
    assertThat(measure(attempts, 2, gate).result()).containsExactly(1);
    assertThat(attempts).hasValue(2);
    releasing.join();
    other.join();
  }

  @Test
  void machinesMustBeAlike() {
    assertThat(MACHINE.unlike(MACHINE)).isEmpty();
    Machine older = new Machine("executor 2 (there)", "0, ABI 1", "jni", "avx2", "BLAS", "");
    assertThat(older.unlike(MACHINE))
        .hasValue(
            "executor 2 (there): has threegate 0, ABI 1, executor 1 (here) has 1, ABI 1; use the same"
                + " jar on all of them");
    Machine blas = new Machine("executor 2 (there)", "1, ABI 1", "jni", "avx2", "MKL", "");
    assertThat(blas.unlike(MACHINE).orElseThrow()).contains("its BLAS is MKL");
    Machine broken = new Machine("executor 3 (there)", "", "", "", "", "no such file");
    assertThat(broken.unlike(MACHINE))
        .hasValue("executor 3 (there): cannot load the native library: no such file");
    // Bindings may differ, because they call the same library.
    assertThat(
            new Machine("executor 2 (there)", "1, ABI 1", "ffm", "avx2", "BLAS", "")
                .unlike(MACHINE))
        .isEmpty();
    assertThatThrownBy(() -> older.require(MACHINE)).isInstanceOf(ExecutorException.class);
  }
}
