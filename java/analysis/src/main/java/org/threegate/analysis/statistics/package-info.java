/** Statistical measures with their null models. This package does not call kernels. */
package org.threegate.analysis.statistics;
