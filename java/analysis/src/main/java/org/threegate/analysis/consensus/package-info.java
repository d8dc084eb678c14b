/** Agreement of several runs from one base, and trajectories of single runs. */
package org.threegate.analysis.consensus;
