"""A wholesaler in four services, each with databases of its own: sales, stock, ledger and reporting.

Only published events travel between them, and each reads them with types of its own. Begin with `sales` and `reporting`.
``python -m examples.shop --demo`` shows them at work: `orders` makes commands of a file, `load` sends them, `processes` runs
the services in as many processes as asked for, and `totals` asks what has come of it.
"""

from examples.shop import ledger, reporting, sales, stock
from twofold import System

shop = System(sales.sales, stock.stock, ledger.ledger, reporting.reporting)
