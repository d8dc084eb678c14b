package org.threegate.rl.policy;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A batch of sequences that are padded to the same length.
 *
 * <pre>{@code
 * Padded rows = Padded.left(List.of(new int[] {5, 6}, new int[] {7}), 2, 0);
 * var logits = decoder.logits(rows.tokens(), rows.mask());
 * }</pre>
 *
 * @param tokens the token ids, [sequences, width], int64
 * @param mask false at padding, [sequences, width], bool
 */
public record Padded(Tensor tokens, Tensor mask) {
  /**
   * Pads sequences on the left.
   *
   * @param sequences the token ids of each sequence
   * @param width the length of all padded sequences, at least that of the longest
   * @param padding the padding token
   * @return the batch
   */
  public static Padded left(List<int[]> sequences, int width, int padding) {
    return of(sequences, width, padding, true);
  }

  /**
   * Pads sequences on the right.
   *
   * @param sequences the token ids of each sequence
   * @param width the length of all padded sequences, at least that of the longest
   * @param padding the padding token
   * @return the batch
   */
  public static Padded right(List<int[]> sequences, int width, int padding) {
    return of(sequences, width, padding, false);
  }

  /**
   * Concatenates two batches along the tokens.
   *
   * @param others a batch of as many sequences
   * @return the batch of the joined sequences
   */
  public Padded followedBy(Padded others) {
    return new Padded(
        torch.cat(Tensors.vector(tokens, others.tokens()), 1),
        torch.cat(Tensors.vector(mask, others.mask()), 1));
  }

  private static Padded of(List<int[]> sequences, int width, int padding, boolean left) {
    long[] tokens = new long[sequences.size() * width];
    long[] mask = new long[tokens.length];
    Arrays.fill(tokens, padding);
    for (int i = 0; i < sequences.size(); i++) {
      int[] own = sequences.get(i);
      int begin = i * width + (left ? width - own.length : 0);
      for (int j = 0; j < own.length; j++) {
        tokens[begin + j] = own[j];
        mask[begin + j] = 1;
      }
    }
    return new Padded(
        Tensors.of(tokens, sequences.size(), width),
        Scopes.keep(() -> Tensors.of(mask, sequences.size(), width).to(ScalarType.Bool)));
  }
}
