"""Five kinds of fraud, each laid over the honest payments as they happened.

- stolen_card: within hours of the victim's own payment in a shop the card pays in a city that
  nobody reaches in that time; sums and shops are mostly ordinary.
- compromised_merchant: for some weeks the cards of a shop's customers are copied and charged there
  again at the shop's usual prices. Only the merchant's record of frauds gives it away.
- device_ring: one device pays for many victims over some days.
- account_takeover: an unknown device makes many online payments within an hour.
- card_testing: dozens of tiny attempts at one online merchant, most of them refused, then a few
  larger payments.

The scenario of compromised terminals follows the Fraud Detection Handbook (Le Borgne, Siblini,
Lebichot, Bontempi, 2022, chapter 3); the others are patterns that card schemes describe. All
numbers are assumptions.
"""

from lib.fraud.simulation.card_fraud import compromised_merchants, stolen_cards
from lib.fraud.simulation.context import SimulationContext
from lib.fraud.simulation.online_fraud import account_takeovers, card_testing, device_rings
from lib.fraud.simulation.payments import Payments, joined


def all_fraud(scene: SimulationContext) -> Payments:
    """Every fraudulent payment inside the history."""
    crimes = joined(
        [
            stolen_cards(scene),
            compromised_merchants(scene),
            device_rings(scene),
            account_takeovers(scene),
            card_testing(scene),
        ]
    )
    inside = (crimes.time >= scene.config.start_us) & (crimes.time < scene.config.end_us)
    return crimes.take(inside)
