"""A wholesaler in six services, each with databases of its own: sales, stock, ledger, reporting, payments and shipping.

Only published events travel between them, and commands of one to the other; each reads them with types of its own. Begin with
`sales` and `reporting`, and then see how `fulfilment` brings orders to their end, with a payment API in between that fails.

``python -m examples.shop --demo`` shows them at work: `orders` makes commands of a file, `load` sends them, `processes` runs
the services in as many processes as asked for, and `totals` asks what has come of it; then `customers` place orders, and an
`audit` says whether money and units add up.
"""

from examples.shop import ledger, payments, reporting, sales, shipping, stock
from examples.shop.simulated import (
    a_shelf_promises_what_it_has,
    nobody_is_given_back_what_was_not_taken,
    payment_provider,
)
from twofold import System

__all__ = ["a_shelf_promises_what_it_has", "nobody_is_given_back_what_was_not_taken", "payment_provider", "shop"]

shop = System(sales.sales, stock.stock, ledger.ledger, reporting.reporting, payments.payments, shipping.shipping)
