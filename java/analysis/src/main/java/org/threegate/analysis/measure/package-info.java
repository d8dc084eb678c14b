/** Tensors to numbers, through the kernels. */
package org.threegate.analysis.measure;
