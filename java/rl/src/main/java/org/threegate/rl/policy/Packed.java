package org.threegate.rl.policy;

import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Completions after their prompts in one row without padding. A prompt of several completions is
 * there once: they share its hidden states, and their gradients add up there. Layers that work
 * token by token see one long row, and attention sees each text on its own.
 *
 * <pre>{@code
 * int[] prompt = {5, 6, 7};
 * Packed row = Packed.of(List.of(prompt, prompt), List.of(new int[] {8}, new int[] {9, 10}));
 * System.out.println(row.width() + " tokens instead of 9"); // 6
 * }</pre>
 *
 * @param tokens the token ids, [1, width], int64
 * @param positions the position of each token in its text, [1, width], int64
 * @param texts where the texts are, in the order of the row
 * @param before the index of the token before each token of the completions, in the order in which
 *     completions were given, [completion tokens], int64
 * @param targets the tokens of the completions in the same order, [completion tokens], int64
 * @param places the index of each entry of a padded batch in these tokens, and their number at
 *     padding, [completions, longest], int64
 */
public record Packed(
    Tensor tokens,
    Tensor positions,
    List<Text> texts,
    Tensor before,
    Tensor targets,
    Tensor places) {
  /**
   * A completion after its prompt.
   *
   * @param prompt the index of the first token of the prompt
   * @param given the number of tokens of the prompt
   * @param begin the index of the first token of the completion
   * @param count the number of tokens of the completion
   */
  public record Text(int prompt, int given, int begin, int count) {
    /** Returns whether the completion follows its prompt in the row, as the first one does. */
    boolean isFirst() {
      return prompt + given == begin;
    }
  }

  /**
   * Packs completions.
   *
   * @param prompts the tokens of the prompts, at least one each
   * @param completions the tokens of as many completions
   * @return the row
   */
  public static Packed of(List<int[]> prompts, List<int[]> completions) {
    Map<IntBuffer, List<Integer>> groups = new LinkedHashMap<>();
    for (int i = 0; i < prompts.size(); i++) {
      groups.computeIfAbsent(IntBuffer.wrap(prompts.get(i)), own -> new ArrayList<>()).add(i);
    }
    int width = completions.stream().mapToInt(own -> own.length).sum();
    int longest = completions.stream().mapToInt(own -> own.length).max().orElseThrow();
    int all = width;
    for (IntBuffer prompt : groups.keySet()) {
      width = Math.addExact(width, prompt.remaining());
    }
    long[] tokens = new long[width];
    long[] positions = new long[width];
    int[] begins = new int[prompts.size()];
    int[] starts = new int[prompts.size()];
    List<Text> texts = new ArrayList<>();
    int at = 0;
    for (Map.Entry<IntBuffer, List<Integer>> group : groups.entrySet()) {
      int[] prompt = group.getKey().array();
      int start = at;
      at = put(prompt, tokens, positions, at, 0);
      for (int i : group.getValue()) {
        begins[i] = at;
        starts[i] = start;
        int[] own = completions.get(i);
        texts.add(new Text(start, prompt.length, at, own.length));
        at = put(own, tokens, positions, at, prompt.length);
      }
    }
    long[] before = new long[all];
    long[] targets = new long[all];
    long[] places = new long[prompts.size() * longest];
    Arrays.fill(places, all);
    int next = 0;
    for (int i = 0; i < begins.length; i++) {
      for (int j = 0; j < completions.get(i).length; j++) {
        before[next] = j == 0 ? starts[i] + prompts.get(i).length - 1 : begins[i] + j - 1;
        targets[next] = completions.get(i)[j];
        places[i * longest + j] = next++;
      }
    }
    return new Packed(
        Tensors.of(tokens, 1, width),
        Tensors.of(positions, 1, width),
        List.copyOf(texts),
        Tensors.of(before, all),
        Tensors.of(targets, all),
        Tensors.of(places, prompts.size(), longest));
  }

  private static int put(int[] own, long[] tokens, long[] positions, int at, int before) {
    for (int j = 0; j < own.length; j++) {
      tokens[at + j] = own[j];
      positions[at + j] = before + j;
    }
    return at + own.length;
  }

  /** {@return the number of tokens of the row} */
  public long width() {
    return tokens.size(1);
  }

  /** Brings a value of each completion token, [completion tokens], to [completions, longest]. */
  Tensor arranged(Tensor values) {
    Tensor padded =
        torch.cat(Tensors.vector(values, values.detach().narrow(0, 0, 1).mul(new Scalar(0.0))), 0);
    return padded.index_select(0, places.flatten()).view(places.size(0), places.size(1));
  }
}
