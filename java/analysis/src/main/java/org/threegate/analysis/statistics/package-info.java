/** Numbers to statistics, each beside what chance would give. Knows no kernels. */
package org.threegate.analysis.statistics;
