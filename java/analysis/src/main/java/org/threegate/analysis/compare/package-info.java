/** The comparison of two checkpoints, and the claims that it puts to the update. */
package org.threegate.analysis.compare;
