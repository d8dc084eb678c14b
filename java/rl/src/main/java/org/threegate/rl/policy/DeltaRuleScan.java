package org.threegate.rl.policy;

import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The gated delta rule (arXiv 2412.06464). The memory S of a head decays at each token, and then
 * replaces what it has stored under the key: S ← e^g S, S ← S + β k (v − Sᵀk)ᵀ. The token reads
 * Sᵀq. All derivatives exist, because it is composed of basic operations.
 *
 * @param queries the normalized queries, [batch, tokens, heads, key dimension]
 * @param keys the normalized keys, [batch, tokens, heads, key dimension]
 * @param values the values, [batch, tokens, heads, value dimension]
 * @param decays g, the logarithms of the factors of memories, [batch, tokens, heads]
 * @param rates β, the shares that are replaced, [batch, tokens, heads]
 */
record DeltaRuleScan(Tensor queries, Tensor keys, Tensor values, Tensor decays, Tensor rates) {
  /**
   * Tokens that are computed at once. Larger chunks take more products, smaller ones more steps.
   */
  private static final long CHUNK = 64;

  /**
   * The result.
   *
   * @param outputs what the tokens read, [batch, tokens, heads, value dimension]
   * @param memory the memories after the last token, [batch, heads, key dimension, value dimension]
   */
  record Result(Tensor outputs, Tensor memory) {}

  /**
   * Computes one token, and changes the memories in place. There is no gradient.
   *
   * @param memory the memories, [batch, heads, key dimension, value dimension]
   * @return what the token reads, [batch, 1, heads, value dimension]
   */
  Tensor step(Tensor memory) {
    Tensor key = keys.select(1, 0).unsqueeze(2);
    memory.mul_(decays.select(1, 0).exp().unsqueeze(-1).unsqueeze(-1));
    Tensor rate = rates.select(1, 0).unsqueeze(-1).unsqueeze(-1);
    Tensor change = values.select(1, 0).unsqueeze(2).sub(key.matmul(memory)).mul(rate);
    memory.add_(key.transpose(2, 3).matmul(change));
    return queries.select(1, 0).unsqueeze(2).matmul(memory).transpose(1, 2);
  }

  /**
   * Computes all tokens, in chunks. The changes within a chunk depend on each other linearly, which
   * a triangular system solves (the UT transform, arXiv 2406.06484).
   *
   * @param before the memories before the first token; zero if empty
   */
  Result all(Optional<Tensor> before) {
    long tokens = keys.size(1);
    long chunks = (tokens + CHUNK - 1) / CHUNK;
    long size = (tokens + chunks - 1) / chunks;
    long padding = chunks * size - tokens;
    Tensor query = chunked(queries, chunks, padding);
    Tensor key = chunked(keys, chunks, padding);
    Tensor rate = chunked(rates.unsqueeze(-1), chunks, padding);
    Tensor sums = chunked(decays.unsqueeze(-1), chunks, padding).cumsum(3);
    Tensor between = sums.sub(sums.transpose(3, 4)).masked_fill(later(size), lowest()).exp();
    Tensor grown = sums.exp();
    Tensor weighted = key.mul(rate);
    Tensor turned = key.transpose(3, 4);
    long width = values.size(-1);
    Tensor solved =
        torch.linalg_solve_triangular(
            weighted.matmul(turned).mul(between),
            torch.cat(
                Tensors.vector(chunked(values, chunks, padding).mul(rate), weighted.mul(grown)),
                -1),
            false,
            true,
            true);
    Tensor changes = solved.narrow(-1, 0, width);
    Tensor reads = solved.narrow(-1, width, keys.size(-1));
    Tensor within = query.matmul(turned).mul(between);
    Tensor asked = query.mul(grown);
    Tensor end = sums.narrow(3, size - 1, 1);
    Tensor kept = key.mul(end.sub(sums).exp()).transpose(3, 4);
    Tensor factors = end.exp();
    Optional<Tensor> memory = before;
    Tensor[] outputs = new Tensor[(int) chunks];
    for (int i = 0; i < outputs.length; i++) {
      Tensor change = changes.select(2, i);
      if (memory.isPresent()) {
        change = change.sub(reads.select(2, i).matmul(memory.get()));
      }
      Tensor own = within.select(2, i).matmul(change);
      int at = i;
      outputs[i] = memory.map(known -> asked.select(2, at).matmul(known).add(own)).orElse(own);
      Tensor added = kept.select(2, i).matmul(change);
      memory =
          Optional.of(
              memory.map(known -> known.mul(factors.select(2, at)).add(added)).orElse(added));
    }
    return new Result(
        torch.cat(Tensors.vector(outputs), 2).narrow(2, 0, tokens).transpose(1, 2),
        memory.orElseThrow());
  }

  /**
   * Returns values as [batch, heads, chunks, tokens of a chunk, features], with zeros after them.
   */
  private static Tensor chunked(Tensor values, long chunks, long padding) {
    Tensor heads = values.transpose(1, 2);
    Tensor padded =
        padding == 0
            ? heads.contiguous()
            : torch.constant_pad_nd(heads, new long[] {0, 0, 0, padding}, new Scalar(0));
    return padded.view(
        padded.size(0), padded.size(1), chunks, padded.size(2) / chunks, padded.size(3));
  }

  /** Returns where a token is after another one of its chunk. */
  private static Tensor later(long size) {
    return ModelDevice.placed(
        torch.ones(new long[] {size, size}, new TensorOptions(ScalarType.Bool)).triu(1));
  }

  private static Scalar lowest() {
    return new Scalar(Double.NEGATIVE_INFINITY);
  }
}
