/** Curvature of a model's own objective, for the operators and probes of the analysis. */
package org.threegate.rl.curvature;
