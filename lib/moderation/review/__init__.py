"""People decide what the model cannot: moderation's rules over `lib.records.review.ReviewStore`."""
