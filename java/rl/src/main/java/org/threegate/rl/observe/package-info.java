/** What watches a run: geometry, and where metrics go. Trainers do not know of it. */
package org.threegate.rl.observe;
