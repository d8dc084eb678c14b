/** Reads the tensors of files that {@code torch.save} wrote, without executing anything in them. */
package org.threegate.checkpoint.torch;
