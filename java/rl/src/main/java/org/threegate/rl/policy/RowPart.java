package org.threegate.rl.policy;

import org.bytedeco.pytorch.Tensor;

/**
 * Rows of a fused matrix that belong together, such as the queries of a matrix of queries, keys and
 * values. Their names are those of {@code threegate compare} and {@code threegate mask}.
 *
 * <pre>{@code
 * var part = new RowPart("model.layers.3.self_attn.q_proj.weight", "gate", new RowPart.Rows(256, 256, 512, 16));
 * System.out.println(part.name()); // model.layers.3.self_attn.q_proj.weight[gate]
 * }</pre>
 *
 * @param parameter the name of the parameter
 * @param label the label of the part
 * @param rows its rows
 */
public record RowPart(String parameter, String label, Rows rows) implements WeightPart {
  /**
   * Equal runs of rows at equal distances.
   *
   * @param begin the first row of the first run
   * @param length the rows of a run
   * @param step the rows from the begin of a run to the begin of the next
   * @param count the number of runs
   */
  public record Rows(long begin, long length, long step, long count) {}

  @Override
  public String name() {
    return parameter + '[' + label + ']';
  }

  @Override
  public boolean isMatrix() {
    return true;
  }

  @Override
  public Tensor in(Tensor whole) {
    long columns = whole.size(1);
    return rows.count() == 1
        ? whole.narrow(0, rows.begin(), rows.length())
        : whole.view(rows.count(), rows.step(), columns).narrow(1, rows.begin(), rows.length());
  }

  @Override
  public Tensor matrix(Tensor whole) {
    return in(whole).reshape(rows.count() * rows.length(), whole.size(1));
  }
}
