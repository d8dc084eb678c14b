/** Comparison of two checkpoints, and claims about the update. */
package org.threegate.analysis.compare;
