package org.threegate.checkpoint.weight;

/** A way to store weights. */
interface Layout {
  /**
   * Takes the tensors of this layout from an inventory.
   *
   * @param inventory the stored tensors that no layout has taken yet
   */
  void take(Inventory inventory);
}
