package org.threegate.rl.policy;

import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.run.InvalidInputException;

/**
 * Samples completions of many prompts in batches. Each completion has a random number generator, so
 * that it does not depend on the other prompts. It can still differ in rounding, because matrix
 * products of other sizes may sum in another order.
 *
 * <pre>{@code
 * List<Completion> completions =
 *     Sampler.complete(
 *         decoder, List.of(new int[] {1, 5, 7}), SamplingOptions.plain(10, List.of(2)), new long[] {42});
 * }</pre>
 */
public final class Sampler {
  private static final int MOST_ROWS =
      128; // of a batch, so that keys and values fit into CPU caches

  private Sampler() {}

  /** A prompt and the state of its completion. */
  private static final class Row {
    final int index;
    final SplittableRandom random;
    final int[] tokens;
    final float[] logProbabilities;
    int length;
    boolean stopped;

    Row(int index, long seed, int longest) {
      this.index = index;
      this.random = new SplittableRandom(seed);
      this.tokens = new int[longest];
      this.logProbabilities = new float[longest];
    }

    boolean add(int token, float logProbability, SamplingOptions options) {
      tokens[length] = token;
      logProbabilities[length] = logProbability;
      length++;
      stopped = options.stops().contains(token);
      return stopped;
    }

    Completion completion() {
      return new Completion(
          Arrays.copyOf(tokens, length), Arrays.copyOf(logProbabilities, length), stopped);
    }
  }

  /**
   * Samples one completion for each prompt.
   *
   * @param model the model
   * @param prompts the token ids of the prompts, at least one token each
   * @param options how tokens are sampled
   * @param seeds one seed per prompt
   * @return the completions, in the order of the prompts
   */
  public static List<Completion> complete(
      Decoder model, List<int[]> prompts, SamplingOptions options, long[] seeds) {
    if (seeds.length != prompts.size()) {
      throw new IllegalArgumentException(
          "there must be one seed per prompt, but there are "
              + seeds.length
              + " seeds and "
              + prompts.size()
              + " prompts");
    }
    if (prompts.stream().anyMatch(prompt -> prompt.length == 0)) {
      throw new IllegalArgumentException("a prompt has no tokens");
    }
    prompts.forEach(model::requireTokens);
    List<Callable<List<Completion>>> parts = new ArrayList<>();
    for (int begin = 0; begin < seeds.length; begin += MOST_ROWS) {
      List<int[]> own = prompts.subList(begin, Math.min(seeds.length, begin + MOST_ROWS));
      long[] ownSeeds = Arrays.copyOfRange(seeds, begin, begin + own.size());
      parts.add(() -> together(model, own, options, ownSeeds));
    }
    List<Completion> all = new ArrayList<>();
    Threads.map(parts, all::addAll);
    return List.copyOf(all);
  }

  private static List<Completion> together(
      Decoder model, List<int[]> prompts, SamplingOptions options, long[] seeds) {
    int width = prompts.stream().mapToInt(prompt -> prompt.length).max().orElseThrow();
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i < seeds.length; i++) {
      rows.add(new Row(i, seeds[i], options.longest()));
    }
    Completion[] done = new Completion[seeds.length];
    // Equal prompts share one forward pass.
    Map<IntBuffer, Integer> places = new LinkedHashMap<>();
    long[] shared = new long[seeds.length];
    for (int i = 0; i < shared.length; i++) {
      Integer place = places.putIfAbsent(IntBuffer.wrap(prompts.get(i)), places.size());
      shared[i] = place == null ? places.size() - 1 : place;
    }
    List<int[]> distinct = places.keySet().stream().map(IntBuffer::array).toList();
    try (KeyValueCache cache = model.cache(distinct.size(), width + options.longest() - 1)) {
      Scopes.run(
          () -> {
            Tensor logits = begin(model, distinct, width, shared, cache);
            run(model, logits, options, rows, done, cache);
          });
    }
    return List.of(done);
  }

  /**
   * Computes the logits of the first tokens.
   *
   * @param shared the index of the prompt of each row
   */
  private static Tensor begin(
      Decoder model, List<int[]> prompts, int width, long[] shared, KeyValueCache cache) {
    Padded padded = Padded.left(prompts, width, model.config().tokens().padding());
    Tensor logits = model.next(padded.tokens(), padded.mask(), cache);
    if (prompts.size() == shared.length) {
      return logits;
    }
    Tensor rows = Tensors.of(shared, shared.length);
    cache.select(rows);
    return logits.index_select(0, rows);
  }

  private static void run(
      Decoder model,
      Tensor first,
      SamplingOptions options,
      List<Row> all,
      Completion[] done,
      KeyValueCache cache) {
    List<Row> rows = new ArrayList<>(all);
    Tensor logits = first;
    for (int step = 1; ; step++) {
      long[] drawn = draw(model, logits, rows, options);
      List<Integer> going = new ArrayList<>();
      for (int i = 0; i < rows.size(); i++) {
        Row row = rows.get(i);
        // Finished rows stay in the batch until half of the rows are finished.
        if (done[row.index] == null && (row.length == options.longest() || row.stopped)) {
          done[row.index] = row.completion();
        }
        if (done[row.index] == null) {
          going.add(i);
        }
      }
      logits.close();
      if (going.isEmpty()) {
        return;
      }
      if (2 * going.size() <= rows.size()) {
        long[] kept = going.stream().mapToLong(Integer::longValue).toArray();
        long[] tokens = drawn;
        drawn = Arrays.stream(kept).map(i -> tokens[(int) i]).toArray();
        rows = new ArrayList<>(going.stream().map(rows::get).toList());
        Scopes.run(() -> cache.select(Tensors.of(kept, kept.length)));
      }
      logits = step(model, drawn, cache);
    }
  }

  private static Tensor step(Decoder model, long[] tokens, KeyValueCache cache) {
    return Scopes.keep(
        () -> {
          Tensor next = Tensors.of(tokens, tokens.length, 1);
          return model.next(next, next.ge(new Scalar(0)), cache);
        });
  }

  /** Samples a token for each row. Rows that are not finished append theirs. */
  private static long[] draw(
      Decoder model, Tensor logits, List<Row> rows, SamplingOptions options) {
    long[] tokens = new long[rows.size()];
    Scopes.run(
        () -> {
          double temperature = options.temperature() == 0 ? 1 : options.temperature();
          Tensor logProbabilities = logits.div(new Scalar(temperature)).log_softmax(-1);
          Tensor drawn =
              options.temperature() == 0
                  ? logits.argmax(new LongOptional(-1), true)
                  : drawn(logProbabilities, rows, options);
          float[] chosen = Tensors.floats(logProbabilities.gather(1, drawn));
          long[] found = Tensors.longs(drawn);
          for (int i = 0; i < found.length; i++) {
            if (Float.isNaN(chosen[i])) {
              throw new InvalidInputException(
                  model.where()
                      + ": the logits are not finite; the weights are damaged or too large");
            }
            Row row = rows.get(i);
            if (!row.stopped && row.length < options.longest()) {
              row.add((int) found[i], chosen[i], options);
            }
            tokens[i] = found[i];
          }
        });
    return tokens;
  }

  private static Tensor drawn(Tensor logProbabilities, List<Row> rows, SamplingOptions options) {
    float[] uniform = new float[rows.size()];
    for (int i = 0; i < uniform.length; i++) {
      // The uniform number must stay below 1 in float32, too.
      uniform[i] = (rows.get(i).random.nextInt() >>> 8) * 0x1p-24f;
    }
    Tensor places = Tensors.of(uniform, uniform.length, 1).to(ScalarType.Double);
    Tensor probabilities = logProbabilities.exp().to(ScalarType.Double);
    if (options.topProbability() == 1 && options.mostLikely() == 0) {
      return at(probabilities, places);
    }
    var sorted = torch.sort(probabilities, new BoolOptional(true), -1, true);
    Tensor likeliest = sorted.get0();
    if (options.mostLikely() > 0 && options.mostLikely() < likeliest.size(1)) {
      likeliest = likeliest.narrow(1, 0, options.mostLikely());
      likeliest = likeliest.div(likeliest.sum(new long[] {1}, true, null));
    }
    Tensor before = likeliest.cumsum(1).sub(likeliest);
    // The most likely token is always kept, because no probability precedes it.
    likeliest =
        likeliest.masked_fill(before.ge(new Scalar(options.topProbability())), new Scalar(0.0));
    return sorted.get1().gather(1, at(likeliest, places));
  }

  /** Returns the first index at which the cumulative sum exceeds a share of the total. */
  private static Tensor at(Tensor weights, Tensor shares) {
    Tensor sums = weights.cumsum(1);
    Tensor wanted = shares.mul(sums.narrow(1, sums.size(1) - 1, 1));
    // Counting the sums that do not exceed it never selects an entry with weight zero.
    return sums.le(wanted).sum(new long[] {1}, true, null);
  }
}
