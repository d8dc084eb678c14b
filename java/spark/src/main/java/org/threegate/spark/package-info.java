/**
 * Comparisons over a Spark cluster: the same code for each tensor as on one machine, and the same
 * bits.
 */
package org.threegate.spark;
