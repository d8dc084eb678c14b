/**
 * Comparisons on a Spark cluster. Each tensor is measured by the same code as on one machine, so
 * results are bitwise identical.
 */
package org.threegate.spark;
