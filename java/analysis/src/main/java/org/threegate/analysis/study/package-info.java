/** Comparison of the runs of a study with the claims of the paper. */
package org.threegate.analysis.study;
