/** Whether several runs change the same weights, and how one run moves from step to step. */
package org.threegate.analysis.consensus;
