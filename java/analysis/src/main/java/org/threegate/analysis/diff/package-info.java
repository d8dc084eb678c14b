/** Counts of changed entries by tensor, row, column, head, and cell of a coarse grid. */
package org.threegate.analysis.diff;
