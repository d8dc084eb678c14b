/** The curvature of a model's objective, for the operators and probes of the analysis. */
package org.threegate.rl.curvature;
