/** Optimizers and learning rate schedules. */
package org.threegate.rl.optimizer;
