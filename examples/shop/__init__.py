"""A wholesaler in four services, each with databases of its own: sales, stock, ledger and reporting.

Only published events travel between them, and each reads them with types of its own. ``python -m examples.shop --demo``
shows them at work.
"""

from examples.shop import ledger, reporting, sales, stock
from twofold import System

shop = System(sales.sales, stock.stock, ledger.ledger, reporting.reporting)
