/** Problems with answers that can be verified: read from files, or made up. */
package org.threegate.rl.task;
