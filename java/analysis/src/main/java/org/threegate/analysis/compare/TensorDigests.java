package org.threegate.analysis.compare;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Function;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.Background;

/**
 * Computes digests of tensors on background threads, once per tensor. A digest takes several times
 * as long as the diff of the same bytes.
 */
final class TensorDigests implements AutoCloseable {
  private final Background threads;
  private final List<Context> contexts = new ArrayList<>();
  private final BlockingQueue<Context> idle;
  private final DigestKind kind;
  private final Control control;
  private final Function<Tensor, String> key;
  private final Set<String> started;
  private final BlockingQueue<Request> requests = new LinkedBlockingQueue<>();
  private final List<Future<?>> answers = new ArrayList<>();

  private record Request(List<Tensor> tensors, CompletableFuture<Map<String, String>> digests) {}

  /**
   * Starts the threads.
   *
   * @param kind what is computed; if tensors have no digests of their own, nothing is
   * @param key returns a unique key of a tensor
   * @param known keys of tensors that need no digest
   */
  TensorDigests(
      int threads,
      DigestKind kind,
      Control control,
      Function<Tensor, String> key,
      Set<String> known) {
    this.kind = kind;
    this.control = control;
    this.key = key;
    this.started = new HashSet<>(known);
    this.idle = new ArrayBlockingQueue<>(threads);
    this.threads = new Background("threegate-digest", threads);
    for (int i = 0; i < threads; i++) {
      contexts.add(Context.open(Context.Device.CPU, 1));
    }
    idle.addAll(contexts);
  }

  /**
   * Starts the digests of those tensors that were not started before.
   *
   * @return digests by key
   */
  Future<Map<String, String>> start(List<Tensor> tensors) {
    List<Tensor> fresh =
        tensors.stream()
            .filter(tensor -> kind.isOfTensors() && started.add(key.apply(tensor)))
            .toList();
    Request request = new Request(fresh, new CompletableFuture<>());
    if (fresh.isEmpty()) {
      request.digests().complete(Map.of());
    } else {
      requests.add(request);
      answers.add(request.digests());
      threads.submit(this::answer);
    }
    return request.digests();
  }

  /**
   * Processes requests. Takes two at once if possible, because digests of two tensors interleave
   * faster.
   */
  private Void answer() throws InterruptedException {
    List<Request> taken = new ArrayList<>();
    if (requests.drainTo(taken, 2) > 0) {
      Context context = idle.take();
      try {
        List<Tensor> tensors = taken.stream().flatMap(one -> one.tensors().stream()).toList();
        Iterator<String> values = Digests.of(context, kind, tensors, control).iterator();
        for (Request one : taken) {
          Map<String, String> digests = new LinkedHashMap<>();
          one.tensors().forEach(tensor -> digests.put(key.apply(tensor), values.next()));
          one.digests().complete(digests);
        }
      } catch (RuntimeException e) {
        taken.forEach(one -> one.digests().completeExceptionally(e));
      } finally {
        idle.add(context);
      }
    }
    return null;
  }

  /** Cancels running digests. If none is running, the control is not cancelled. */
  @Override
  public void close() {
    if (answers.stream().anyMatch(answer -> !answer.isDone())) {
      control.cancel();
    }
    threads.close();
    contexts.forEach(Context::close);
  }
}
