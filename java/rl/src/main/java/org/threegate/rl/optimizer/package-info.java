/** How parameters follow gradients. */
package org.threegate.rl.optimizer;
