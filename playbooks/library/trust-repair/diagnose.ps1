param($Params)
