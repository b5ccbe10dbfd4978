"""Each service of the shop alone, for `twofold run`: in a process of its own it hears of the others by a transport.

Paths are the same as where all of them run together.
"""

from examples.shop import ledger as of_ledger
from examples.shop import payments as of_payments
from examples.shop import reporting as of_reporting
from examples.shop import sales as of_sales
from examples.shop import shipping as of_shipping
from examples.shop import stock as of_stock
from twofold import System

sales = System(of_sales.sales)
stock = System(of_stock.stock)
ledger = System(of_ledger.ledger)
reporting = System(of_reporting.reporting)
payments = System(of_payments.payments)
shipping = System(of_shipping.shipping)
